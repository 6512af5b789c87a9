# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From the name of a model to the classifier that it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.alerts import t2_classifier, token_classifier
from lowlat_nodes.alerts.classifier import Classifier
from lowlat_nodes.alerts.t2_classifier import T2Classifier
from lowlat_nodes.alerts.token_classifier import TokenClassifier
from lowlat_nodes.inference import backends
from lowlat_nodes.inference.backend_settings import ONE_THREAD, BackendSettings
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.stream.errors import ConfigurationError

SHIPPED: Mapping[str, str] = {"tokens": token_classifier.SHIPPED, "t2": t2_classifier.SHIPPED}
"""The models that ship, by the name of the kind."""

_MAKE: Mapping[str, Callable[[Path, BackendSettings, Sharing], Classifier]] = {
    token_classifier.CONTRACT: TokenClassifier,
    t2_classifier.CONTRACT: T2Classifier,
}


def load_classifier(
    model: str, settings: BackendSettings = ONE_THREAD, sharing: Sharing = ALONE
) -> Classifier:
    """Load a classifier of either kind.

    Args:
        model: `tokens` or `t2` for those that ship, or an .onnx file of `lowlat train alerts` or
            `lowlat train t2`.
        settings: What runs it.
        sharing: Whether it is cut into parts, see `backends.load`.

    Raises:
        ConfigurationError: If there is no such model, or it is none of these kinds.
        MissingExtra: If the library that was asked for is not installed.
    """
    try:
        path = resources.model(SHIPPED.get(model, model))
    except resources.ResourceError as error:
        raise ConfigurationError(
            f"model: expected {', '.join(SHIPPED)} or an .onnx file, got {model!r}: {error}"
        ) from error
    contract = backends.signature(path).metadata.get("contract", "")
    if contract not in _MAKE:
        raise ConfigurationError(
            f"{path}: expected a model of alerts with a contract of {', '.join(_MAKE)}; got {contract!r}"
        )
    return _MAKE[contract](path, settings, sharing)
