"""Reads the hyperparameters out of a compiled Keras model that a user's function has built.

In: a `keras.Sequential` of Dense and Dropout layers, compiled. Out: a `Reading`. Main call: `read_network`. What regsweep's own
networks can't be is refused, by the layer's name: the model itself is never trained, so nothing of it may be lost.

Only what the model says of itself is looked at (`get_config`): Keras is not imported here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsweep.config.names import ACTIVATIONS
from regsweep.config.parameters import Scalar

# Other names of activations, in Keras too.
ALIASES = {"swish": "silu"}
# Keras's classes, what else their config may not differ in from a new one of the class, and our name.
OPTIMIZERS = {
    "Adam": (("adam", {}),),
    "AdamW": (("adamw", {}),),
    "RMSprop": (("rmsprop", {}),),
    "SGD": (("sgd", {}), ("sgd_momentum", {"momentum": 0.9})),
}
MSE = ("mse", "MSE", "mean_squared_error", "MeanSquaredError")
CROSSENTROPY = ("binary_crossentropy", "BinaryCrossentropy")
_KNOWN = (*MSE, *CROSSENTROPY)
# What a dense layer has besides units, activation and L2: regsweep's are Keras's defaults.
DENSE = {
    "use_bias": True,
    "kernel_initializer": "GlorotUniform",
    "bias_initializer": "Zeros",
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
    "trainable": True,
}


class UnreadableModelError(ValueError):
    """Why a model can't be read."""


@dataclass(frozen=True)
class Reading:
    """What a model says: hyperparameters, how many numbers it takes in a row (None: any), and the task its loss is for."""

    values: Mapping[str, Scalar]
    inputs: int | None
    task: str


def looks_like_model(thing: object) -> bool:
    """Tell whether it is a Keras model, of whichever kind."""
    return any(kind.__name__ == "Model" and kind.__module__.startswith("keras.") for kind in type(thing).__mro__)


def read_network(model: Any) -> Reading:
    """Read a compiled model. Raises UnreadableModelError."""
    with warnings.catch_warnings():
        # Keras advises against functions without a name, which are refused.
        warnings.simplefilter("ignore")
        return _read(model)


def _read(model: Any) -> Reading:
    if type(model).__name__ != "Sequential" or not type(model).__module__.startswith("keras."):
        raise UnreadableModelError(f"the model is a {type(model).__name__}; a keras.Sequential of Dense and Dropout is needed")
    if not getattr(model, "compiled", False):
        raise UnreadableModelError("the model is not compiled; end with model.compile(optimizer=..., loss=...)")
    widths: list[int] = []
    activations: list[str] = []
    dropouts: list[float] = []
    penalties: list[float] = []
    for position, layer in enumerate(model.layers):
        where, config = f"layer {position} ({type(layer).__name__} {layer.name!r})", layer.get_config()
        match type(layer).__name__:
            case _ if not type(layer).__module__.startswith("keras."):
                raise UnreadableModelError(f"{where}: is no layer of Keras's own; use Dense and Dropout")
            case "Dense":
                _check_dense(where, config)
                widths.append(int(config["units"]))
                activations.append(_activation(where, config["activation"]))
                dropouts.append(0.0)
                penalties.append(_penalty(where, config["kernel_regularizer"]))
            case "Activation" if widths and activations[-1] == "linear" and not dropouts[-1]:
                activations[-1] = _activation(where, config["activation"])
            case "Dropout" if widths and not dropouts[-1] and config.get("noise_shape") is None:
                dropouts[-1] = float(config["rate"])
            case "Dropout":
                raise UnreadableModelError(f"{where}: one plain Dropout may follow each hidden Dense layer, and none the input")
            case _:
                raise UnreadableModelError(f"{where}: regsweep's networks are Dense and Dropout, with Activation after Dense")
    if not widths or widths[-1] != 1 or dropouts[-1]:
        raise UnreadableModelError("the last layer must be Dense(1), with no Dropout after it")
    if len(set(penalties)) > 1:
        listed = ", ".join(f"{penalty:g}" for penalty in penalties)
        raise UnreadableModelError(
            f"the Dense layers have the L2 penalties {listed}; regsweep weighs every kernel alike, the last one's too: "
            "give all the same"
        )
    values: dict[str, Scalar] = {"depth": len(widths) - 1, "l2": penalties[0]}
    for layer in range(1, len(widths)):
        values |= {f"width_{layer}": widths[layer - 1], f"activation_{layer}": activations[layer - 1]}
        values |= {f"dropout_{layer}": dropouts[layer - 1]}
    optimizer, learning_rate = _optimizer(model.optimizer)
    values |= {"optimizer": optimizer, "learning_rate": learning_rate}
    shape = getattr(model, "input_shape", None) if getattr(model, "built", False) else None
    return Reading(values, shape[-1] if shape is not None else None, _task(model, activations[-1]))


def _check_dense(where: str, config: Mapping[str, Any]) -> None:
    for key, needed in DENSE.items():
        found = config.get(key, needed)
        found = found["class_name"] if isinstance(found, Mapping) else found
        if found != needed:
            raise UnreadableModelError(f"{where}: {key} must be Keras's default {needed}, but is {found}")
    policy = config.get("dtype")
    dtype = policy["config"]["name"] if isinstance(policy, Mapping) else policy or "float32"
    if dtype != "float32":
        raise UnreadableModelError(f"{where}: dtype must be float32, but is {dtype}")
    for key in ("lora_rank", "quantization_config"):
        if config.get(key) is not None:
            raise UnreadableModelError(f"{where}: {key} is not known here, but is {config[key]}")


def _activation(where: str, name: object) -> str:
    known = ALIASES.get(name, name) if isinstance(name, str) else None
    if known not in ACTIVATIONS:
        shown = name["class_name"] if isinstance(name, Mapping) and "class_name" in name else name
        raise UnreadableModelError(f"{where}: the activation must be one of {', '.join(ACTIVATIONS)}, but is {shown!r}")
    return str(known)


def _penalty(where: str, regularizer: Mapping[str, Any] | None) -> float:
    if regularizer is None:
        return 0.0
    config = regularizer["config"]
    if regularizer["class_name"] == "L2" or (regularizer["class_name"] == "L1L2" and not config["l1"]):
        return _shortest(config["l2"])
    raise UnreadableModelError(f"{where}: the kernel's regularizer must be L2, but is {regularizer['class_name']}")


def _optimizer(optimizer: Any) -> tuple[str, float]:
    kind, config = type(optimizer), optimizer.get_config()
    if kind.__name__ not in OPTIMIZERS or not kind.__module__.startswith("keras."):
        raise UnreadableModelError(f"the optimizer must be one of {', '.join(OPTIMIZERS)}, but is {kind.__name__}")
    rate = config["learning_rate"]
    if not isinstance(rate, int | float):
        raise UnreadableModelError(
            "the optimizer's learning rate is a schedule; give it a number, and draw or set `schedule` (constant, cosine)"
        )
    differences = []
    for name, changes in OPTIMIZERS[kind.__name__]:
        plain = kind(learning_rate=rate, **changes).get_config()
        differences = [key for key in plain if key not in ("name", "learning_rate") and not _same(config.get(key), plain[key])]
        if not differences:
            return name, _shortest(rate)
    listed = ", ".join(f"{key}={config.get(key)!r}" for key in differences)
    raise UnreadableModelError(f"the optimizer {kind.__name__} has {listed}; regsweep's has Keras's defaults")


def _same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.float32(a) == np.float32(b))
    return a == b


def _shortest(value: float) -> float:
    """The shortest number that is this one in 32 bits: 0.001, where a variable of Keras's says 0.0010000000474974513."""
    return float(str(np.float32(value)))


def _task(model: Any, last: str) -> str:
    """The task that loss and last activation are for: those of regression, or of two classes."""
    losses = list(_losses(model))
    if (weights := model.get_compile_config().get("loss_weights") if losses[:1] and losses[0][0] in _KNOWN else None) is not None:
        raise UnreadableModelError(f"the loss has the weights {weights}; leave loss_weights out")
    if losses and losses[0][0] in MSE and last == "linear":
        return "regression"
    if losses and losses[0][0] in CROSSENTROPY and last == ("linear" if losses[0][1] else "sigmoid"):
        return "binary_classification"
    raise UnreadableModelError(
        "loss and last activation must be mse and linear, or of two classes binary_crossentropy and sigmoid (or linear, from "
        f"logits), but are {losses[0][0] if losses else None} and {last}"
    )


def _losses(model: Any) -> Iterator[tuple[str, bool]]:
    """The loss by name, with whether it is of logits; of a loss of the user's own its name, which is none of Keras's."""
    loss = model.get_compile_config()["loss"] if isinstance(model.loss, str) else model.loss
    if isinstance(loss, str):
        yield loss, False
    elif loss is not None:
        own = type(loss).__module__.startswith("keras.") or getattr(loss, "__module__", "").startswith("keras.")
        config = loss.get_config() if hasattr(loss, "get_config") else {}
        plain = config.get("label_smoothing", 0) == 0 and config.get("reduction", "sum_over_batch_size") == "sum_over_batch_size"
        name = type(loss).__name__ if config else getattr(loss, "__name__", type(loss).__name__)
        yield name if own and plain else f"{name} (not as Keras has it)", bool(config.get("from_logits", False))
