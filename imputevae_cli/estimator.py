"""What scikit-learn expects of an estimator: parameters by name, clones, pipelines and `fit_transform`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

from imputevae_cli.config import Config, leaves
from imputevae_cli.errors import ConfigError
from imputevae_cli.log import ProgressOption

E = TypeVar("E", bound="Estimator")


class Estimator:
    """What `ImputeVAE` has as an estimator of scikit-learn.

    Its parameters are `config`, `rules` and every setting, `__` standing for the dot: `vae__kl_beta`.
    """

    config: Config
    rules: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; with `deep` also every setting."""
        own = {"config": self.config, "rules": self.rules}
        settings = leaves(self.config.to_dict()) if deep else ()
        return own | {dotted.replace(".", "__"): value for dotted, value in settings}

    def set_params(self: E, **params: Any) -> E:
        """Change parameters by name. Raises ConfigError for those that are not known, or do not hold."""
        own = {name: params.pop(name) for name in ("config", "rules") if name in params}
        config = own.get("config", self.config)
        wrong = [name for name in params if "__" not in name]
        if wrong:
            raise ConfigError(f"{wrong[0]!r} is no parameter; give config, rules, or a setting such as vae__kl_beta")
        self.config = config.replace({name.replace("__", ".", 1): value for name, value in params.items()}).checked()
        self.rules = own.get("rules", self.rules)
        return self

    def fit_transform(self, genotypes: Any, y: Any = None, *, progress: ProgressOption = None, **options: Any) -> Any:
        """Fit on genotypes and fill their missing calls. y: not used. options: of `transform`."""
        model: Any = self
        return model.fit(genotypes, progress=progress).transform(progress=progress, **options)

    def __repr__(self) -> str:
        """The settings that are not the defaults, and whether there is a fit."""
        defaults = dict(leaves(Config().to_share()))
        changed = {key: value for key, value in leaves(self.config.to_share()) if value != defaults[key]}
        settings = ", ".join(f"{key}={value!r}" for key, value in changed.items()) or "default settings"
        return f"<{type(self).__name__}: {settings}; {'fitted' if self.__sklearn_is_fitted__() else 'not fitted'}>"

    def __sklearn_is_fitted__(self) -> bool:
        raise NotImplementedError

    def __sklearn_clone__(self: E) -> E:
        """An unfitted one with the same parameters, for `sklearn.base.clone`."""
        make: Any = type(self)
        clone: E = make(deepcopy(self.config), self.rules)
        return clone

    def __sklearn_tags__(self) -> Any:
        """What pipelines ask: input may hold NaN, and no target is needed."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(allow_nan=True),
        )
