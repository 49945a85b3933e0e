"""The benchmark of the paper: sets x backbones x heads x rules x shots x draws."""
