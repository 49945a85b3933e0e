"""Nested parameters, metadata routing and HTML diagram of an ensemble of heads."""

from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from .._utils._sklearn import VisualBlock, routing_enabled
from ._heads import head_of, named_heads
from .routers import named_router


class HeadCompositionMixin:
    """Mixin for ensembles with the parameters ``head``, ``router`` and ``cv``.

    A list of heads has nested parameters as in :class:`sklearn.ensemble.VotingClassifier`: ``NAME``
    is a head, and ``NAME__PARAMETER`` is a parameter of it.
    """

    def _listed_heads(self):
        """Return a dict from names to heads, for the named items and estimators in a list."""
        if not isinstance(self.head, (list, tuple)):
            return {}
        try:
            named = named_heads(self.head)
        except ValueError:  # fit raises it
            return {}
        given = {one[0] for one in self.head if isinstance(one, tuple)}
        return {
            name: head for name, head, _ in named if name in given or hasattr(head, "get_params")
        }

    def _check_names_of_heads(self):
        clash = set(self._listed_heads()) & set(self._get_param_names())
        if clash:
            raise ValueError(
                f"A head is named {min(clash)!r}, which is a parameter of {type(self).__name__}. "
                "Give it another name."
            )

    def get_params(self, deep=True):
        """Get parameters of the ensemble, and of the heads in a list by their names.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include parameters of heads and router.

        Returns
        -------
        dict
            Parameters and their values.
        """
        params = super().get_params(deep=deep)
        for name, head in self._listed_heads().items() if deep else ():
            params[name] = head
            own = head.get_params() if hasattr(head, "get_params") else {}
            params |= {f"{name}__{key}": value for key, value in own.items()}
        return params

    def set_params(self, **params):
        """Set parameters of the ensemble, and of heads by their names.

        Parameters
        ----------
        **params : dict
            Parameters and their values. ``NAME`` replaces the head of this name in a list of heads,
            also by the name of another one, such as ``"linear"``, but not by ``"drop"``.
            ``NAME__PARAMETER`` sets a parameter of it.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or it is a parameter of a head or router that is given as
            a string.
        """
        if "head" in params:
            self.head = params.pop("head")
        for name in self._listed_heads().keys() & params.keys():
            self._replace_head(name, params.pop(name))
        self._refuse_parameters_of_names(params)
        return super().set_params(**params)

    def _refuse_parameters_of_names(self, params):
        parts = {"head": self.head, "router": self.router, **self._listed_heads()}
        for name in params:
            owner, _, parameter = name.partition("__")
            given = params.get(owner, parts.get(owner))
            if parameter and owner in parts and isinstance(given, str):
                raise ValueError(
                    f"{owner} is {given!r}, a name, so {name} cannot be set: give an object, "
                    f"whose parameter {parameter!r} it is."
                )
            if parameter and owner == "head" and isinstance(given, (list, tuple)):
                example = parameter if "__" in parameter else f"NAME__{parameter}"
                raise ValueError(
                    f"head is a list, so {name} cannot be set: parameters of a head in a list "
                    f"begin with its name, as {example}."
                )

    def _replace_head(self, name, head):
        names = [one for one, _, _ in named_heads(self.head)]
        heads = list(self.head)
        position = names.index(name)
        old = heads[position]
        heads[position] = (name, head, *old[2:]) if isinstance(old, tuple) else head
        self.head = heads

    def get_metadata_routing(self):
        """Get the metadata routing of the ensemble, its heads and its splitter.

        Returns
        -------
        MetadataRouter
            The routing information.
        """
        routing = MetadataRouter(owner=self).add_self_request(self)
        listed = self._listed_heads().items()
        heads = {name: head for name, head in listed if hasattr(head, "get_params")}
        if hasattr(self.head, "get_params"):
            heads = {"head": self.head}
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        for name, head in heads.items():
            routing.add(**{name: head}, method_mapping=to_fit)
        if hasattr(self.cv, "split"):
            to_split = MethodMapping().add(caller="fit", callee="split")
            routing.add(splitter=self.cv, method_mapping=to_split)
        return routing

    def _route_metadata(self, **metadata):
        """If routing is enabled, let scikit-learn check that the metadata was requested."""
        if routing_enabled():
            given = {name: value for name, value in metadata.items() if value is not None}
            process_routing(self, "fit", **given)

    def _sk_visual_block_(self):
        """Show the heads (the experts, once fitted) side by side, and the router below them."""
        if hasattr(self, "experts_"):
            parts = [(expert.name, expert.head) for expert in self.experts_]
        else:
            named = named_heads(self.head)
            parts = [(name, head_of(head)) for name, head, _ in named]
        names, heads = zip(*parts, strict=True)
        details = [str(head) for head in heads]
        router = named_router(self.router)
        options = {"name_details": details, "dash_wrapped": False}
        experts = VisualBlock("parallel", heads, names=names, **options)
        names = f"experts on blocks={self.blocks!r}", f"router: {type(router).__name__}"
        return VisualBlock("serial", (experts, router), names=names, dash_wrapped=False)
