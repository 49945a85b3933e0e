import io
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from _said import no_warning, said
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from skclipens.exceptions import ImageError, SuspectedMistakeWarning
from skclipens.images import as_image_list, load_image

# Many pictures here are.
pytestmark = pytest.mark.filterwarnings("ignore:.*nearly black", "ignore:.*no model sees anything")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# Upright: taller than wide, and no flip or rotation of it is itself.
UPRIGHT = np.zeros((48, 32, 3), dtype=np.uint8)
UPRIGHT[:16] = RED
UPRIGHT[16:, :16] = GREEN
UPRIGHT[16:, 16:] = BLUE
# How a camera stores the upright picture under each EXIF orientation.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: np.rot90(UPRIGHT, 2).transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}


def pixels(image):
    picture = load_image(image)
    assert type(picture) is Image.Image
    assert picture.mode == "RGB"
    assert picture.info == {}
    return np.asarray(picture)


def save(picture, path, **options):
    picture.save(path, **options)
    return path


def encode(picture, format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def png(width, height, depth, colour_type, rows, extra=b""):
    """Encode a PNG by hand, for the kinds that Pillow reads but does not write."""

    def chunk(tag, data):
        body = tag + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    transparency = chunk(b"tRNS", extra) if extra else b""
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            transparency,
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
            chunk(b"IEND", b""),
        ]
    )


uint8_images = hnp.arrays(
    np.uint8,
    st.one_of(
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])),
    ),
)
rgb_images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))
grey16_images = hnp.arrays(np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6)))


def as_rgb(array):
    """Expected pixels of a uint8 grey or RGB array."""
    array = array[..., None] if array.ndim == 2 else array
    return np.broadcast_to(array, (*array.shape[:2], 3))


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jp2", "ppm", "gif"])
def test_lossless_file_formats(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(Image.fromarray(UPRIGHT), tmp_path / f"x.{suffix}", **options)
    for item in (path, str(path), np.str_(path), path.read_bytes()):
        np.testing.assert_array_equal(pixels(item), UPRIGHT)
    for view in (bytearray, memoryview):
        np.testing.assert_array_equal(pixels(view(path.read_bytes())), UPRIGHT)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    path = save(stored, tmp_path / f"x.{suffix}", exif=exif, **options.get(suffix, {}))
    tolerance = 6 if suffix == "jpg" else 0
    np.testing.assert_allclose(pixels(path).astype(int), UPRIGHT, atol=tolerance)
    with Image.open(path) as opened:
        np.testing.assert_allclose(pixels(opened).astype(int), UPRIGHT, atol=tolerance)


def test_orientation_is_applied_once_and_broken_exif_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(STORED[6]))
    content = encode(stored, exif=exif)
    once = load_image(content)
    np.testing.assert_array_equal(pixels(once), UPRIGHT)
    converted = Image.open(io.BytesIO(content)).convert("RGB")  # still carries its EXIF
    np.testing.assert_array_equal(pixels(converted), UPRIGHT)

    broken = encode(Image.fromarray(UPRIGHT), exif=b"Exif\0\0not a TIFF header at all")
    np.testing.assert_array_equal(pixels(broken), UPRIGHT)


@given(rgb_images, st.sampled_from([5, 6, 7, 8]))
def test_a_quarter_turn_swaps_height_and_width_and_keeps_every_pixel(array, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = pixels(encode(Image.fromarray(array), exif=exif))
    assert turned.shape == (array.shape[1], array.shape[0], 3)
    assert sorted(map(tuple, turned.reshape(-1, 3))) == sorted(map(tuple, array.reshape(-1, 3)))


def test_palette_with_and_without_transparency(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *BLUE])
    palette.putpixel((1, 0), 1)
    opaque = save(palette, tmp_path / "opaque.gif")
    hidden = save(palette, tmp_path / "hidden.gif", transparency=1)
    partial = save(palette, tmp_path / "partial.png", transparency=bytes([255, 51]))
    assert pixels(opaque).tolist() == [[list(RED), list(BLUE)]]
    assert pixels(hidden).tolist() == [[list(RED), list(WHITE)]]
    with no_warning():
        warnings.filterwarnings("ignore", ".* of 2 x 1 pixels")
        assert pixels(partial).tolist() == [[list(RED), [204, 204, 255]]]


def test_alpha_is_laid_on_white(tmp_path):
    rgba = Image.new("RGBA", (1, 1), (0, 0, 0, 0))  # black under full transparency
    for suffix in ("png", "webp", "tif"):
        assert pixels(save(rgba, tmp_path / f"x.{suffix}")).tolist() == [[list(WHITE)]]
    grey = Image.new("LA", (1, 1), (0, 51))
    assert pixels(save(grey, tmp_path / "la.png")).tolist() == [[[204] * 3]]
    palette = Image.new("PA", (1, 1))
    palette.putpalette(RED)
    palette.putpixel((0, 0), (0, 51))
    assert pixels(palette).tolist() == [[[255, 204, 204]]]
    assert pixels(grey.convert("La")).tolist() == [[[204] * 3]]
    assert pixels(rgba.convert("RGBa")).tolist() == [[list(WHITE)]]


@given(hnp.arrays(np.uint8, (3, 4, 4)))
def test_alpha_composite_is_the_weighted_mean_with_white(array):
    colour, alpha = array[..., :3].astype(float), array[..., 3:] / 255
    expected = alpha * colour + (1 - alpha) * 255
    for image in (array, Image.fromarray(array), encode(Image.fromarray(array))):
        assert np.abs(pixels(image) - expected).max() <= 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(2, 1, 8, 0, [bytes([0, 100])], struct.pack(">H", 100)), [0, 255]),
        (png(8, 1, 1, 0, [b"\x0f"], struct.pack(">H", 0)), [255] * 8),
        (png(4, 1, 2, 0, [b"\x1b"]), [0, 85, 170, 255]),
        (png(2, 1, 16, 0, [struct.pack(">2H", 0, 40000)], struct.pack(">H", 0)), [255, 156]),
        (png(2, 1, 16, 4, [struct.pack(">4H", 0, 0, 65535, 65535)]), [255, 255]),
    ],
    ids=["grey8-trns", "bit-trns", "grey2", "grey16-trns", "grey16-alpha"],
)
def test_grey_png_kinds(content, expected):
    assert pixels(content)[0, :, 0].tolist() == expected


def test_rgb_png_with_a_transparent_colour_and_16_bit_rgb():
    keyed = png(2, 1, 8, 2, [bytes([1, 2, 3, *RED])], struct.pack(">3H", 1, 2, 3))
    assert pixels(keyed).tolist() == [[list(WHITE), list(RED)]]
    deep = png(1, 1, 16, 2, [struct.pack(">3H", 65535, 32896, 0)])
    assert pixels(deep).tolist() == [[[255, 128, 0]]]


def test_one_bit(tmp_path):
    bit = Image.fromarray(np.eye(3, dtype=bool))
    path = save(bit, tmp_path / "x.png")
    np.testing.assert_array_equal(pixels(path)[..., 0], np.eye(3) * 255)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    path = save(Image.fromarray(ramp), tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(pixels(path)[..., 1], ramp // 257)


def test_16_bit_grey_in_every_pil_mode():
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    big_endian = Image.frombytes("I;16B", (16, 16), ramp.astype(">u2").tobytes())
    wide = Image.fromarray(ramp.astype(np.int32))
    pgm = b"P5 16 16 65535\n" + ramp.astype(">u2").tobytes()
    for image in (Image.fromarray(ramp), big_endian, wide, pgm, encode(wide, "TIFF")):
        np.testing.assert_array_equal(pixels(image)[..., 2], ramp // 257)


@pytest.mark.parametrize("orientation", [6, 8])
def test_a_picture_that_was_turned_in_memory_is_not_turned_again(orientation):
    exif, (width, height) = Image.Exif(), (48, 32)
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0xA002: width, 0xA003: height})
    stored = Image.open(io.BytesIO(encode(Image.fromarray(STORED[orientation]), exif=exif)))
    np.testing.assert_array_equal(pixels(stored), UPRIGHT)
    np.testing.assert_array_equal(pixels(stored.convert("RGB")), UPRIGHT)
    turned = stored.rotate({6: 270, 8: 90}[orientation], expand=True)
    np.testing.assert_array_equal(pixels(turned), UPRIGHT)
    small = stored.resize((24, 16), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(pixels(small), UPRIGHT[::2, ::2])
    assert load_image(stored.resize((40, 40))).getpixel((5, 5)) == RED
    exif.get_ifd(0x8769).update({0xA002: height, 0xA003: width})  # of a file, they tell nothing
    content = encode(Image.fromarray(STORED[orientation]), exif=exif)
    np.testing.assert_array_equal(pixels(content), UPRIGHT)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_a_tiff_file_of_16_bits_with_a_plane_for_each_channel(order):
    pixels = np.random.default_rng(0).integers(0, 2**16, (3, 20, 30), np.uint16)
    tags = ImageFileDirectory_v2(prefix={"<": b"II", ">": b"MM"}[order[0]])
    given = {"BitsPerSample": (16, 16, 16), "SamplesPerPixel": 3, "PlanarConfiguration": 2}
    given |= {"ImageWidth": 30, "ImageLength": 20, "RowsPerStrip": 20}
    given |= {"StripOffsets": (0, 1200, 2400), "StripByteCounts": (1200, 1200, 1200)}
    for name, value in {**given, "PhotometricInterpretation": 2}.items():
        tags[next(tag for tag, known in TiffTags.TAGS_V2.items() if known.name == name)] = value
    file = io.BytesIO()
    tags.save(file)
    file.write(pixels.astype(order).tobytes())
    for image in (file.getvalue(), Image.open(file)):
        found = np.asarray(load_image(image), int)
        assert np.abs(found - pixels.transpose(1, 2, 0) // 256).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_file_in_which_0_is_white(dtype):
    ramp = np.linspace(0, np.iinfo(dtype).max, 256).astype(dtype).reshape(16, 16)
    content = encode(Image.fromarray(ramp), "TIFF")
    photometric = struct.pack("<HHI", 262, 3, 1)
    assert content.count(photometric + b"\1") == 1
    negative = content.replace(photometric + b"\1", photometric + b"\0")
    np.testing.assert_array_equal(pixels(negative), 255 - pixels(content))
    opened = Image.open(io.BytesIO(negative))
    np.testing.assert_array_equal(pixels(opened), 255 - pixels(content))


def test_mode_i_that_was_made_of_8_bit_grey_stays_as_it_is():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    wide = grey.convert("I")
    np.testing.assert_array_equal(pixels(wide), pixels(grey))
    np.testing.assert_array_equal(pixels(wide), pixels(wide.convert("L")))
    of_file = Image.open(io.BytesIO(encode(wide, "TIFF")))
    assert (of_file.mode, pixels(of_file).max()) == ("I", 1)  # a dark 16-bit picture
    wide.putpixel((0, 0), 256)
    assert pixels(wide).max() == 1


@given(grey16_images)
def test_16_bit_grey_is_rounded_to_the_nearest_level(array):
    expected = np.rint(array / 257)
    for image in (array, array.astype(">u2"), Image.fromarray(array)):
        np.testing.assert_array_equal(pixels(image)[..., 0], expected)
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(array)))[..., 0], expected)


@pytest.mark.parametrize("scale", [1, 255])
def test_mode_f_in_either_range(tmp_path, scale):
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    path = save(Image.fromarray(ramp * np.float32(scale)), tmp_path / "x.tif")
    np.testing.assert_array_equal(pixels(path)[..., 0].ravel(), np.arange(256))


@pytest.mark.parametrize("top", [1, 255])
def test_mode_f_outside_of_its_range(top):
    ramp = np.linspace(0, top, 256, dtype=np.float32).reshape(16, 16)
    rounded = ramp + np.float32(top * 1e-6) * np.where(ramp > top / 2, 1, -1).astype(np.float32)
    np.testing.assert_array_equal(pixels(Image.fromarray(rounded))[..., 0].ravel(), np.arange(256))
    ramp[0, 0] = -0.04 * top
    assert_fails(Image.fromarray(ramp), "from -", "[0, 1] or [0, 255]")


def test_cmyk_and_adobe_inverted_jpeg(tmp_path):
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    plain = save(red, tmp_path / "x.tif")
    adobe = save(red, tmp_path / "x.jpg", quality=95)
    assert b"Adobe" in adobe.read_bytes()
    for image in (red, plain, adobe):
        np.testing.assert_allclose(pixels(image).astype(int), [[RED] * 16] * 16, atol=3)


def test_colour_spaces():
    picture = Image.fromarray(UPRIGHT)
    for mode in ("YCbCr", "HSV", "RGBX"):
        difference = pixels(picture.convert(mode)).astype(int) - UPRIGHT
        assert np.abs(difference).max() <= 2
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    in_lab = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    for image in (in_lab, encode(in_lab, "TIFF")):
        assert (
            np.abs(pixels(image).astype(int) - UPRIGHT).max() <= 25
        )  # 8-bit LAB is coarse at full saturation


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"x.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert (pixels(path) == RED).all()
    with Image.open(path) as opened:
        opened.seek(1)
        assert (pixels(opened) == BLUE).all()
        assert opened.tell() == 1


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_that_begins_with_a_blank_frame(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    frames = [Image.new("RGB", (32, 48), "black"), Image.fromarray(UPRIGHT)]
    for first, later, n_texts in ((0, 1, 1), (1, 0, 0)):
        frames[first].save(path, save_all=True, append_images=[frames[later]])
        texts = said(load_image, path)
        assert len(texts) == n_texts
        assert all("first of its frames is of one colour" in text for text in texts)
    frames[0].save(path)
    assert said(load_image, path) == []


def test_pages_of_a_tiff_file_that_are_not_read(tmp_path):
    pages = [Image.fromarray(one) for one in (UPRIGHT, UPRIGHT[::-1])]
    pyramid = [pages[0], pages[0].resize((16, 24))]
    for orientation in (1, 6):
        for compression in ("raw", "tiff_lzw"):
            exif = Image.Exif()
            exif[0x0112] = orientation
            path = tmp_path / f"{orientation}-{compression}.tif"
            options = {"exif": exif, "compression": compression, "save_all": True}
            save(pages[0], path, **options, append_images=pages[1:])
            first = encode(pages[0], "TIFF", exif=exif)
            for item in (path, path.read_bytes()):
                with pytest.warns(SuspectedMistakeWarning, match="several pages"):
                    found = pixels(item)
                np.testing.assert_array_equal(found, pixels(first))
            assert said(load_image, first) == []
            save(pyramid[0], path, **options, append_images=pyramid[1:])
            assert said(load_image, path) == []
            for side in (pages[0].resize((30, 47)), pages[0].resize((64, 96))):
                save(pages[0], path, **options, append_images=[side])  # scans are of any size
                with pytest.warns(SuspectedMistakeWarning, match="several pages"):
                    load_image(path)


def test_a_fourth_band_of_a_tiff_file_that_is_no_alpha():
    bands = np.dstack([UPRIGHT, UPRIGHT[..., 0] // 2 + 100])
    with pytest.warns(SuspectedMistakeWarning, match="fourth band seems to be no alpha"):
        load_image(encode(Image.fromarray(bands), "TIFF"))
    assert said(load_image, encode(Image.fromarray(bands), "PNG")) == []
    bands[::2, :, 3] = 255
    assert said(load_image, encode(Image.fromarray(bands), "TIFF")) == []


def test_files_of_numbers_that_pillow_cannot_read(tmp_path):
    assert_fails(b"II*\0" + bytes(90), "a TIFF file that is damaged, or whose bands", "as an array")
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90))
    assert_fails(tmp_path / "a.h5", "it is an HDF5 file", "as h5py gives them")


@given(uint8_images)
def test_png_bytes_equal_the_array(array):
    content = encode(Image.fromarray(array.squeeze(2) if array.shape[2:] == (1,) else array))
    np.testing.assert_array_equal(pixels(content), as_rgb(array))


# ---------------------------------------------------------------- pixels


@given(uint8_images)
def test_uint8_array_round_trips_exactly(array):
    expected = as_rgb(array)
    np.testing.assert_array_equal(pixels(array), expected)
    np.testing.assert_array_equal(pixels(load_image(array)), expected)
    np.testing.assert_array_equal(pixels(array.astype(np.int64)), expected)
    np.testing.assert_array_equal(pixels(array.astype(np.uint16) * 257), expected)
    np.testing.assert_array_equal(pixels(np.asfortranarray(array)), expected)
    np.testing.assert_array_equal(pixels(array[::-1, ::-1]), expected[::-1, ::-1])
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(pixels((array / 255).astype(dtype)), expected)


@given(uint8_images)
def test_tensor_equals_array(array):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(array)
    tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor
    expected = as_rgb(array)
    for item in (tensor, tensor / 255, tensor.double() / 255, tensor.long()):
        np.testing.assert_array_equal(pixels(item), expected)
    parameter = torch.nn.Parameter(tensor / 255)
    np.testing.assert_array_equal(pixels(parameter), expected)
    low = (tensor / 255).to(torch.bfloat16)
    assert np.abs(pixels(low).astype(int) - expected).max() <= 1


def test_bool_rgba_and_foreign_arrays():
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return UPRIGHT

    np.testing.assert_array_equal(pixels(np.eye(3, dtype=bool))[..., 0], np.eye(3) * 255)
    np.testing.assert_array_equal(pixels(Foreign()), UPRIGHT)
    clear = np.zeros((2, 2, 4))
    assert (pixels(clear) == 255).all()


def test_ambiguous_channel_axis_is_read_as_channels_last():
    array = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    np.testing.assert_array_equal(pixels(array), array)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "I;16", "CMYK"])
def test_the_given_image_is_not_changed(mode):
    image = Image.new(mode, (3, 2))
    image.info["note"] = "kept"
    exif = image.getexif()
    exif[0x0112] = 6
    before = image.copy()
    picture = load_image(image)
    assert (image, image.info, image.size) == (before, before.info, (3, 2))
    assert image.getexif()[0x0112] == 6
    picture.paste(BLUE, (0, 0, *picture.size))
    assert image == before


def test_the_given_array_is_not_changed():
    array = np.zeros((2, 2, 3), dtype=np.uint8)
    load_image(array).paste(BLUE, (0, 0, 2, 2))
    assert (array == 0).all()


# ---------------------------------------------------------------- bad items


def missing_values():
    pandas = pytest.importorskip("pandas")
    return [
        None,
        float("nan"),
        np.float32("nan"),
        np.datetime64("NaT", "ns"),
        "",
        pandas.NA,
        pandas.NaT,
    ]


def test_missing_values():
    for value in missing_values():
        with pytest.raises(ImageError, match="missing value"):
            load_image(value)


def assert_fails(image, *parts):
    with pytest.raises(ImageError) as caught:
        load_image(image)
    message = str(caught.value)
    assert "cannot be read as an image" in message
    for part in parts:
        assert part in message
    return caught.value


def test_bad_files_are_named(tmp_path):
    damaged = tmp_path / "damaged.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    damaged.write_bytes(encode(Image.fromarray(noise), "JPEG")[:2000])
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    empty = tmp_path / "empty.png"
    empty.touch()
    assert_fails("no/such.jpg", "'no/such.jpg'", "no such file", repr(os.getcwd()))
    for path in ("~/x.jpg", Path("~/it's.jpg")):
        said = str(assert_fails(path, "no such file", "os.path.expanduser"))
        assert "relative" not in said
    assert_fails("https://x.org/a.jpg", "'https://x.org/a.jpg'", "URLs are not fetched")
    assert_fails(damaged, repr(str(damaged)), "truncated", "Replace")
    assert_fails(text, repr(str(text)), "not an image file", "Convert")
    assert_fails(empty, repr(str(empty)), "it is empty")
    assert_fails(tmp_path, repr(str(tmp_path)), "it is a directory", "List the files")
    assert_fails(str(tmp_path), "it is a directory")
    assert_fails(b"hello", "content of 5 bytes", "not an image file")
    np.save(npy := io.BytesIO(), UPRIGHT)
    for content, kind in {
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a": "a pointer of Git LFS",
        b"<!DOCTYPE html><body><svg viewBox='0'></svg>404": "a page of HTML",
        b'{"error": "not found"}': "JSON",
        b"[]": "not an image file",
        bytes(128) + b"DICM" + bytes(99): "a DICOM file",
        npy.getvalue(): "a NumPy array",
        b"PK\3\4" + bytes(99): "a zip archive",
        b"\0\0\0\x20ftypisom" + bytes(99): "a film",
        bytes(999): "not an image file",
    }.items():
        path = tmp_path / "other.png"
        path.write_bytes(content)
        assert_fails(path, repr(str(path)), kind)
        assert_fails(content, f"content of {len(content)} bytes", kind)
    for content, advice in {
        bytes(128) + b"DICM" + bytes(99): "Convert it, say to PNG, or pass its pixels as an array",
        npy.getvalue(): "Pass the array that numpy.load returns.",
    }.items():
        assert_fails(content, advice)
    path.write_bytes(b"PK\3\4" + bytes(99))
    assert_fails(path, f"pass {f'zip://::{path}'!r} to embed_to")
    below = path / "pictures" / "0.png"
    assert_fails(below, f"{str(path)!r} is no folder: it is a zip archive", "to embed_to")
    assert_fails(damaged / "0.png", f"{str(damaged)!r} is no folder: it is a file. Check the path.")
    assert_fails(damaged.read_bytes(), "content of 2000 bytes", "truncated")
    assert_fails("nul\0byte.png", "null byte")
    assert len(str(assert_fails("iVBORw0KGgo" * 10_000))) < 1000
    damaged_png = encode(Image.fromarray(noise)).replace(b"IDAT", b"IDAX")
    assert_fails(damaged_png, f"content of {len(damaged_png)} bytes")


def test_decompression_bomb(tmp_path, monkeypatch):
    path = save(Image.fromarray(UPRIGHT), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert_fails(path, "bomb.png", "1,536 pixels", "the limit of 100.", "MAX_IMAGE_PIXELS")


@given(st.binary(max_size=64) | st.integers(8, 200).map(lambda n: encode(PHOTO)[:n]))
def test_any_damaged_content_is_an_image_error(content):
    with pytest.raises(ImageError):
        load_image(content)


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))


def test_closed_image(tmp_path):
    with Image.open(save(PHOTO, tmp_path / "x.png")) as image:
        pass
    assert_fails(image, "PIL image of mode RGB and size (16, 16)", "closed")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_rounding_leaves_outside_of_their_range(dtype):
    array = np.array([[0, 0.5], [1, 1]], dtype)
    off = max(1e-6, np.finfo(dtype).eps)
    rounded = array + np.array([[-off, 0], [off, off]], dtype)
    assert rounded.min() < 0 and rounded.max() > 1
    np.testing.assert_array_equal(pixels(load_image(rounded)), pixels(load_image(array)))


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        (np.full((2, 2), 1.5), ["from 1.5 to 1.5", "float64 must lie in [0, 1]"]),
        (np.full((2, 2, 3), -0.1, np.float32), ["float32 must lie in [0, 1]", "do not normalise"]),
        (np.full((2, 2), np.nan), ["pixels are NaN. Fill them, as np.nan_to_num(image) does"]),
        (np.array([[0.5, np.nan]]), ["pixels are NaN"]),
        (np.full((2, 2), np.inf), ["inf", "[0, 1]"]),
        (np.full((2, 2), 256), ["256", "int64 must lie in [0, 255]"]),
        (np.full((2, 2), -1, np.int8), ["-1", "int8 must lie in [0, 255]"]),
        (np.zeros((3, 8, 9)), ["(3, 8, 9)", "channels last", "image.transpose(1, 2, 0)"]),
        (np.zeros((8, 9, 2)), ["(8, 9, 2)", "channels last", "grey"]),
        (np.zeros((0, 4, 3)), ["(0, 4, 3)", "no pixels"]),
        (np.zeros(4), ["(4,)", "2 or 3 dimensions"]),
        (np.zeros((1, 4, 4, 3)), ["(1, 4, 4, 3)", "one image at a time"]),
        (np.zeros((2, 2), dtype=object), ["dtype object", "does not hold pixels"]),
        (np.zeros((2, 2), dtype=complex), ["complex128", "does not hold pixels"]),
        (np.ma.masked_less(np.eye(2), 1), ["pixels are masked", "image.filled(255)"]),
    ],
    ids=lambda value: None if isinstance(value, list) else f"{value.dtype}{value.shape}",
)
def test_bad_arrays(array, parts):
    assert_fails(array, "array of shape", *parts)


def test_bad_tensors():
    torch = pytest.importorskip("torch")
    assert_fails(torch.zeros(8, 9, 3), "tensor of shape (8, 9, 3)", "image.permute(2, 0, 1)")
    assert_fails(torch.zeros(2, 8, 9), "(2, 8, 9)", "channels first", "grey")
    assert_fails(torch.full((3, 2, 2), 2.0), "torch.float32", "[0, 1]")
    assert_fails(torch.tensor([[0.5, torch.nan]]), "pixels are NaN")
    assert_fails(torch.zeros(1, 3, 4, 4), "(1, 3, 4, 4)", "one image at a time")
    assert_fails(torch.zeros(3, 0, 4), "no pixels")
    assert_fails(torch.zeros(3, 2, 2).to_sparse(), "Sparse", "Pass a dense one")


def test_tensors_whose_sign_is_lazy():
    torch = pytest.importorskip("torch")
    pixels = torch.rand(3, 4, 4)
    lazy = torch.complex(torch.zeros(3, 4, 4), -pixels).conj().imag
    assert lazy.is_neg()
    np.testing.assert_array_equal(load_image(lazy), load_image(pixels))


def test_bad_pil_values_and_types():
    assert_fails(Image.fromarray(np.full((2, 2), 70000, np.int32)), "mode I", "[0, 65535]")
    assert_fails(Image.fromarray(np.full((2, 2), 300, np.float32)), "300", "[0, 255]")
    assert_fails(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "pixels are NaN")
    assert_fails(Image.new("L", (0, 3)), "no pixels")
    assert_fails(3.0, "3.0", "of type float", "a path")
    assert_fails({"a": b""}, "dict with the keys ['a']")
    assert_fails(["a.jpg"], "of type list", "one image at a time")
    assert_fails([UPRIGHT, UPRIGHT], "of type list", "one image at a time")
    assert_fails(["a.jpg", "b.jpg"], "of type list", "make a column of each")
    assert_fails([0.5, 1], "of type list", "Rows of a table are passed as an array")
    pixels = np.zeros((2, 2, 3), int).tolist()
    assert_fails(pixels, "of type list", "If these are pixels, pass an array: np.array(image, np.u")
    assert_fails([[0, 0.5], [1, 1]], "of type list", "pass an array: np.array(image).")
    assert_fails(
        UPRIGHT.tolist(), "[[...], [...], [...], [...], [...], [...], ...] cannot", "np.array"
    )
    assert_fails([["a.jpg"], ["b.jpg"]], "of type list", "one image at a time")
    assert_fails((np.str_("a.jpg"),), "['a.jpg'] cannot", "of type tuple")
    assert_fails(("a.jpg", "cat"), "of type tuple", "an image and its label")
    for label in (1, 0.5, "cat"):
        assert_fails((np.zeros((2, 2)), label), "of type tuple", "an image and its label")
    assert str(assert_fails(np.str_("a.jpg"))).startswith("'a.jpg' cannot be read")


def test_image_error_is_a_value_error_that_pickles():
    error = pickle.loads(pickle.dumps(assert_fails("x.png")))
    assert isinstance(error, ValueError)
    assert "'x.png'" in str(error)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files on Linux")
def test_no_file_stays_open(tmp_path):
    good = save(PHOTO, tmp_path / "good.gif", save_all=True, append_images=[PHOTO])
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(encode(PHOTO)[:200])
    before = os.listdir("/proc/self/fd")
    kept = [load_image(good) for _ in range(5)]
    errors = [assert_fails(damaged) for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == len(before), (kept, errors)


# ---------------------------------------------------------------- collections

PATHS = ["a.jpg", "b.jpg", "c.jpg"]


def path_collections():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    column = np.array(PATHS, dtype=object)[:, None]
    return {
        "list": PATHS,
        "tuple": tuple(PATHS),
        "object": column[:, 0],
        "object column": column,
        "str": np.array(PATHS),
        "str column": np.array(PATHS)[:, None],
        "Series": pandas.Series(PATHS, index=[5, 5, 7]),
        "object Series": pandas.Series(PATHS, dtype=object),
        "categories": pandas.Series(PATHS, dtype="category"),
        "Index": pandas.Index(PATHS),
        "ExtensionArray": pandas.array(PATHS),
        "DataFrame": pandas.DataFrame({"photo": PATHS}, index=[2, 0, 1]),
        "two-level columns": pandas.DataFrame({("photo", "path"): PATHS}),
        "polars Series": polars.Series("photo", PATHS),
        "polars DataFrame": polars.DataFrame({"photo": PATHS}),
    }


def test_collections_of_paths():
    collections = path_collections()
    if hasattr(np.dtypes, "StringDType"):  # numpy 2
        collections["StringDType"] = np.array(PATHS, dtype=np.dtypes.StringDType())
    for kind, X in collections.items():
        items = as_image_list(X)
        assert isinstance(items, list), kind
        assert items == PATHS, kind


def test_a_masked_path_is_missing():
    first, second = as_image_list(np.ma.masked_equal(PATHS[:2], PATHS[1]))
    assert first == PATHS[0]
    assert_fails(second, "missing value")


def test_frames_keep_nulls_bytes_and_objects():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for X in (
        pandas.Series(["a.jpg", None]),
        pandas.Series(["a.jpg", None], dtype="string"),
        pandas.DataFrame({"photo": ["a.jpg", None]}),
        polars.Series(["a.jpg", None]),
        polars.DataFrame({"photo": ["a.jpg", None]}),
    ):
        good, bad = as_image_list(X)
        assert good == "a.jpg"
        assert_fails(bad, "missing value")
    content = encode(PHOTO)
    assert as_image_list(polars.Series([content])) == [content]
    assert as_image_list(pandas.Series([content])) == [content]
    assert as_image_list(pandas.Series([PHOTO]))[0] is PHOTO


def test_what_numpy_can_read_is_split_as_an_array():
    class Batch:
        def __array__(self, dtype=None, copy=None):
            return np.zeros((2, 4, 5, 3), np.uint8)

    assert [item.shape for item in as_image_list(Batch())] == [(4, 5, 3)] * 2


def test_pil_images_are_not_turned_into_arrays():
    pictures = [PHOTO, PHOTO.resize((3, 4)), "x.jpg", UPRIGHT]
    for mine, given_one in zip(as_image_list(pictures), pictures, strict=True):
        assert mine is given_one
    column = np.empty((2, 1), dtype=object)
    column[:, 0] = pictures[:2]
    assert as_image_list(column) == pictures[:2]


@given(
    hnp.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 4), st.integers(5, 7), st.integers(5, 7)),
            st.tuples(
                st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 4])
            ),
        ),
    )
)
def test_batch_equals_its_list_of_images(batch):
    items = as_image_list(batch)
    assert len(items) == len(batch)
    assert all(np.shares_memory(item, batch) for item in items)
    for item, single in zip(items, list(batch), strict=True):
        np.testing.assert_array_equal(pixels(item), pixels(single))


@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (2, 1, 5, 6), (2, 5, 6), (1, 5, 6)])
def test_tensor_batch_equals_its_list_of_images(shape):
    torch = pytest.importorskip("torch")
    batch = torch.rand(shape)
    items = as_image_list(batch)
    assert len(items) == shape[0]
    for item, single in zip(items, as_image_list([*batch]), strict=True):
        np.testing.assert_array_equal(pixels(item), pixels(single))
    ragged = [torch.zeros(3, 4, 4), torch.zeros(1, 2, 9)]
    assert as_image_list(ragged) == ragged


def test_memory_map_is_not_read(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 3), dtype=np.uint8))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    items = as_image_list(mapped)
    assert all(np.shares_memory(item, mapped) for item in items)
    assert pixels(items[0]).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "image",
    ["cat.jpg", Path("cat.jpg"), b"\x89PNG", bytearray(b"x"), memoryview(b"x"), PHOTO, UPRIGHT],
    ids=["str", "Path", "bytes", "bytearray", "memoryview", "PIL", "array"],
)
def test_single_image_must_be_wrapped(image):
    with pytest.raises(ValueError, match=r"single.*wrap it in a list, \[image\]"):
        as_image_list(image)
    assert len(as_image_list([image])) == 1


def test_a_folder_of_pictures_is_no_collection(tmp_path):
    PHOTO.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"pass sorted\(Path\(folder\)\.iterdir\(\)\)"):
        as_image_list(tmp_path)
    assert as_image_list(sorted(tmp_path.iterdir())) == [tmp_path / "a.png"]


def test_single_tensor_must_be_wrapped():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"\(3, 5, 6\).*wrap it in a list.*X\[:, None\]"):
        as_image_list(torch.zeros(3, 5, 6))
    assert len(as_image_list(torch.zeros(3, 5, 6)[:, None])) == 3


def test_an_array_of_bytes_cuts_files_off():
    with pytest.raises(ValueError, match="pass a list: an array drops zeros at their end"):
        as_image_list(np.array([b"a.png", b"b.png"]))


def test_several_columns():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = {"photo": PATHS, "price": [1, 2, 3]}
    for frame in (pandas.DataFrame(table), polars.DataFrame(table)):
        with pytest.raises(ValueError, match=r"2 columns \['photo', 'price'\]: select one"):
            as_image_list(frame)
    with pytest.raises(ValueError, match=r"0 columns \[\]"):
        as_image_list(pandas.DataFrame(index=[0, 1]))
    with pytest.raises(ValueError, match=r"2 columns \(shape=\(3, 2\)\): select one"):
        as_image_list(np.array([PATHS, PATHS]).T)


def test_empty_collections():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    torch = pytest.importorskip("torch")
    for X in (
        [],
        (),
        np.array([]),
        np.empty((0, 1), dtype=object),
        np.empty((0, 8, 8, 3)),
        torch.empty(0, 3, 8, 8),
        pandas.Series([], dtype=object),
        pandas.DataFrame({"photo": []}),
        polars.Series([], dtype=polars.String),
        polars.DataFrame({"photo": []}),
    ):
        of_table = type(X).__name__ in ("Series", "DataFrame")
        advice = "If rows of a table were selected" if of_table else "If a pattern"
        told = rf"0 sample\(s\) \(shape=\(0.*minimum of 1 is required. {advice}"
        with pytest.raises(ValueError, match=told):
            as_image_list(X)


@pytest.mark.parametrize("X", [np.zeros((5, 4)), np.arange(5), np.array(1.0), np.zeros((1,) * 5)])
def test_numeric_tables_are_not_images(X):
    torch = pytest.importorskip("torch")
    for table in (X, torch.from_numpy(np.asarray(X))):
        with pytest.raises(ValueError, match="Expected images, got values of shape") as caught:
            as_image_list(table)
        assert str(X.shape) in str(caught.value)


def test_embeddings_are_not_images():
    from skclipens import CLIPEmbedder

    pictures = [Image.fromarray(UPRIGHT)] * 2
    table = CLIPEmbedder("zoo/RN20").set_output(transform="pandas").transform(pictures)
    for X, has in ((table, "columns of embeddings"), (table.to_numpy(), r"shape \(\d+, 128\)")):
        with pytest.raises(ValueError, match=rf"{has}.* what follows the embedder"):
            as_image_list(X)


@pytest.mark.parametrize("X", [{"a.jpg"}, {}, iter(PATHS), 3, None])
def test_other_types_are_named(X):
    instead = r"list\(X\), or sorted" if hasattr(X, "__next__") else "a list of images"
    with pytest.raises(ValueError, match=f"got {type(X).__name__}: pass {instead}"):
        as_image_list(X)


def test_import_is_light():
    code = "import sys, skclipens.images; print(*{'torch', 'pandas', 'polars'} & {*sys.modules})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == ""
