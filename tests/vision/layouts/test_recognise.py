# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.names import COCO, UNNAMED
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LAYOUTS, LayoutSettings

CELLS = 8400  # of the grids on 640 x 640
SIZES = {"orig_target_sizes": (np.int64, [1, 2])}
TRIPLE = {
    "labels": np.zeros((1, 300), np.int64),
    "boxes": np.zeros((1, 300, 4), np.float32),
    "scores": np.zeros((1, 300), np.float32),
}
YOLO_80 = {"names": str(dict(enumerate(COCO))), "task": "detect"}
RT_DETR = {"description": "Ultralytics rtdetr-l model"}


def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


def of(model: OnnxModel, *, run: bool = False, **settings: Any) -> Layout:
    return recognise(
        model.inputs,
        model.outputs,
        model.metadata,
        build(LayoutSettings, settings),
        run=model.run if run else None,
    )


def refusal(model: OnnxModel, *, run: bool = False, **settings: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        of(model, run=run, **settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "outputs", "more", "classes"),
    [
        ("end_to_end", {"output0": zeros(1, 300, 6)}, {}, UNNAMED),
        ("end_to_end", {"output0": zeros(1, 300, 6)}, {"metadata": YOLO_80}, 80),
        (
            "end_to_end",
            {"output0": zeros(1, 300, 6)},
            {"shapes": {"output0": ["batch", "n", 6]}, "batch": "batch", "metadata": {"end2end": "True"}},
            UNNAMED,
        ),
        ("one_to_many", {"output0": zeros(1, 84, CELLS)}, {}, 80),
        ("one_to_many", {"output0": zeros(1, 6, CELLS)}, {}, 2),
        ("one_to_many", {"output0": zeros(1, 84, CELLS)}, {"metadata": YOLO_80}, 80),
        ("one_to_many", {"output0": zeros(1, CELLS, 84)}, {"metadata": YOLO_80}, 80),
        (
            "one_to_many",
            {"output0": zeros(1, 84, CELLS)},
            {"shapes": {"output0": ["batch", 84, "anchors"]}, "metadata": {"end2end": "False"}},
            80,
        ),
        ("one_to_one", {"output0": zeros(1, 84, CELLS)}, {"metadata": {"end2end": "True"}}, 80),
        (
            "one_to_one",
            {"output0": zeros(1, CELLS, 6)},
            {"metadata": {"end2end": "True", "names": '["a", "b"]'}},
            2,
        ),
        ("objectness", {"output0": zeros(1, 3 * CELLS, 85)}, {}, 80),
        ("objectness", {"output0": zeros(1, CELLS, 85)}, {"metadata": YOLO_80}, 80),
        ("detr", TRIPLE, {"inputs": SIZES}, UNNAMED),
        ("detr", dict(reversed(TRIPLE.items())), {"inputs": SIZES}, UNNAMED),
        (
            "detr",
            {"a": TRIPLE["scores"], "b": TRIPLE["labels"].astype(np.int32), "c": TRIPLE["boxes"]},
            {"inputs": {"wh": (np.int32, ["N", 2])}, "batch": "N"},
            UNNAMED,
        ),
        (
            "detr_logits",
            {"logits": zeros(1, 300, 80), "pred_boxes": zeros(1, 300, 4)},
            {"image": "pixel_values"},
            80,
        ),
        ("rf_detr", {"dets": zeros(1, 300, 4), "labels": zeros(1, 300, 91)}, {"image": "input"}, 91),
        ("detr_rows", {"output0": zeros(1, 300, 84)}, {"metadata": YOLO_80}, 80),
        ("detr_rows", {"output0": zeros(1, 300, 5)}, {"metadata": RT_DETR | {"names": "{0: 'a'}"}}, 1),
        ("detr_end_to_end", {"output0": zeros(1, 300, 6)}, {"metadata": YOLO_80 | RT_DETR}, 80),
    ],
)
def test_the_outputs_tell_the_layout(
    make_model: Any, name: str, outputs: dict[str, np.ndarray], more: dict[str, Any], classes: int
) -> None:
    model = make_model(outputs, **more)
    layout = of(model)
    assert layout.name == name
    assert len(layout.names) == classes
    assert set(layout.outputs) == set(outputs)
    assert (layout.image.name, layout.image.height, layout.image.width) == (
        more.get("image", "images"),
        640,
        640,
    )
    assert layout.resize == ("stretch" if "detr" in name else "letterbox")
    assert (layout.fill, layout.image.channels) == (114, "rgb")
    expected = (0.485 * 255, 0.229 * 255) if name == "rf_detr" else (0.0, 255.0)
    assert (layout.image.mean[0], layout.image.std[0]) == expected
    assert set(layout.feed) == set(more.get("inputs", {}))


def test_every_layout_is_recognised_by_its_own_name(make_model: Any) -> None:
    outputs = {
        "end_to_end": {"output0": zeros(1, 300, 6)},
        "one_to_one": {"output0": zeros(1, 84, 777)},
        "one_to_many": {"output0": zeros(1, 777, 84)},
        "objectness": {"output0": zeros(1, 777, 84)},
        "detr": TRIPLE,
        "detr_end_to_end": {"output0": zeros(1, 300, 6)},
        "detr_logits": {"a": zeros(1, 300, 80), "b": zeros(1, 300, 4)},
        "detr_rows": {"output0": zeros(1, 300, 84)},
        "rf_detr": {"b": zeros(1, 300, 4), "a": zeros(1, 300, 80)},
    }
    assert set(outputs) == set(LAYOUTS)
    for name, given in outputs.items():
        model = make_model(given, inputs=SIZES if name == "detr" else {})
        assert of(model, layout=name).name == name


def test_the_size_that_boxes_are_in_is_that_of_the_input(make_model: Any) -> None:
    layout = of(make_model(TRIPLE, size=(480, 640), inputs=SIZES))
    np.testing.assert_array_equal(layout.feed["orig_target_sizes"], np.array([[640, 480]]))
    assert layout.feed["orig_target_sizes"].dtype == np.int64


def test_settings_override_what_follows_from_the_layout(make_model: Any) -> None:
    model = make_model({"output0": zeros(1, 300, 6)})
    layout = of(model, resize="stretch", fill=0, normalisation="imagenet", channels="bgr", names=["a", "b"])
    assert (layout.resize, layout.fill, layout.names) == ("stretch", 0, ("a", "b"))
    assert layout.image.channels == "bgr"
    assert layout.image.std == pytest.approx((58.395, 57.12, 57.375))
    assert layout.image.mean == pytest.approx((123.675, 116.28, 103.53))
    assert of(model, normalisation="none").image.std == (1.0, 1.0, 1.0)


def test_metadata_stand_in_for_settings_at_auto(make_model: Any) -> None:
    stamped = {"lowlat.layout": "detr", "lowlat.normalisation": "imagenet", "lowlat.resize": "letterbox"}
    model = make_model(TRIPLE, inputs=SIZES, metadata=stamped)
    layout = of(model)
    assert (layout.resize, layout.image.std[0]) == ("letterbox", 0.229 * 255)
    assert of(model, normalisation="unit", resize="stretch").resize == "stretch"
    assert "lowlat" not in refusal(make_model({"o": zeros(1, 300, 6)}, metadata={"lowlat.layout": "detr"}))
    assert "expected" in refusal(make_model({"o": zeros(1, 300, 6)}, metadata={"lowlat.resize": "crop"}))


def test_half_precision_is_taken(make_model: Any) -> None:
    model = make_model({"output0": zeros(1, 300, 6, dtype=np.float16)}, dtype=np.float16)
    assert of(model).name == "end_to_end"


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("coco",), "zebra"), (tuple(COCO), "zebra"), ((), "22")],
)
def test_names_of_classes(make_model: Any, names: tuple[str, ...], expected: str) -> None:
    assert of(make_model({"output0": zeros(1, 84, CELLS)}), names=names).names[22] == expected


def test_91_classes_of_coco_are_numbered_by_id(make_model: Any) -> None:
    model = make_model({"dets": zeros(1, 300, 4), "labels": zeros(1, 300, 91)}, image="input")
    names = of(model, names=["coco"]).names
    assert (len(names), names[0], names[1], names[24], names[90]) == (
        91,
        "0",
        "person",
        "zebra",
        "toothbrush",
    )


def test_the_last_class_of_rf_detr_may_be_the_background(make_model: Any) -> None:
    model = make_model({"dets": zeros(1, 300, 4), "labels": zeros(1, 300, 4)}, image="input")
    assert of(model, names=["a", "b", "c"]).names == ("a", "b", "c")
    assert of(model, names=["a", "b", "c", "nothing"]).names[-1] == "nothing"


def test_queries_of_rt_detr_are_told_from_those_of_detr(make_model: Any) -> None:
    """Hugging Face exports both alike; the scores of DETR are a softmax, with a last class for nothing."""
    model = make_model({"logits": zeros(1, 100, 92), "pred_boxes": zeros(1, 100, 4)}, image="pixel_values")
    assert "a column for nothing" in refusal(model)
    assert of(model, layout="detr_logits").name == "detr_logits"
    assert of(model, names=[str(i) for i in range(92)]).name == "detr_logits"


def test_metadata_tell_an_open_size(make_model: Any) -> None:
    shapes = {"output0": ["batch", 84, "anchors"]}
    model = make_model(
        {"output0": zeros(1, 84, 300)},
        size=("height", "width"),
        shapes=shapes,
        metadata={"imgsz": "[480, 640]", "end2end": "False"},
    )
    layout = of(model)
    assert (layout.image.height, layout.image.width) == (480, 640)
    assert of(model, input_width=320, input_height=320).image.width == 320


class TestRefusals:
    def test_rows_with_or_without_objectness(self, make_model: Any) -> None:
        model = make_model({"output0": zeros(1, CELLS, 85)})
        said = refusal(model)
        assert "layout: one_to_many (81 classes)" in said
        assert "layout: objectness (80 classes)" in said
        assert "output0 float32 [1, 8400, 85]" in said
        assert of(model, layout="objectness").name == "objectness"
        assert of(model, names=[str(i) for i in range(81)]).name == "one_to_many"
        assert of(model, names=["coco"]).name == "objectness"

    def test_an_open_size(self, make_model: Any) -> None:
        model = make_model({"output0": zeros(1, 300, 6)}, size=("h", "w"))
        assert "give input_height" in refusal(model)
        assert "give input_width" in refusal(model, input_height=320)
        layout = of(model, input_height=320, input_width=640)
        assert (layout.image.height, layout.image.width) == (320, 640)

    @pytest.mark.parametrize("size", ["[640]", "640", "[0, 640]", "nonsense", "[" * 200, "['a', 'b']"])
    def test_an_open_size_and_nonsense_for_it(self, make_model: Any, size: str) -> None:
        model = make_model({"output0": zeros(1, 300, 6)}, size=("h", "w"), metadata={"imgsz": size})
        assert "give input_height" in refusal(model)

    def test_another_size_than_the_graph_has(self, make_model: Any) -> None:
        model = make_model({"output0": zeros(1, 300, 6)})
        assert "fixed width of 640 px, got 320" in refusal(model, input_width=320)

    def test_a_batch(self, make_model: Any) -> None:
        assert "8 images at once" in refusal(make_model({"output0": zeros(8, 300, 6)}, batch=8))

    def test_no_image(self, make_model: Any) -> None:
        model = make_model({"output0": zeros(1, 300, 6)}, dtype=np.uint8)
        said = refusal(model)
        assert "found 0" in said
        assert "images uint8 [1, 3, 640, 640]" in said

    def test_two_images(self, make_model: Any) -> None:
        model = make_model({"o": zeros(1, 300, 6)}, inputs={"right": (np.float32, [1, 3, 640, 640])})
        assert "found 2" in refusal(model)

    @pytest.mark.parametrize("task", ["segment", "pose", "obb", "classify"])
    def test_another_task(self, make_model: Any, task: str) -> None:
        model = make_model({"output0": zeros(1, 56, CELLS)}, metadata={"task": task})
        assert f"task {task!r}, expected one for 'detect'" in refusal(model)

    @pytest.mark.parametrize(
        ("outputs", "more"),
        [
            ({"output": zeros(1, 1000)}, {}),
            ({"output": zeros(5, 7)}, {}),
            ({"output0": zeros(1, 300, 84)}, {}),
            ({"output0": zeros(1, 300, 7)}, {"metadata": {"names": "['a', 'b']"}}),
            ({"output0": zeros(1, 116, CELLS), "output1": zeros(1, 32, 160, 160)}, {}),
            ({"output0": zeros(1, 84, 8401)}, {}),
            ({"output0": zeros(1, CELLS, 6)}, {"metadata": YOLO_80}),
            ({"output0": zeros(1, 84, CELLS)}, {"shapes": {"output0": ["b", "p", "q"]}}),
            ({"output0": zeros(1, CELLS, 84)}, {"shapes": {"output0": ["b", "p", 84]}, "metadata": YOLO_80}),
            ({"output0": zeros(1, 300, 6)}, {"inputs": SIZES}),
            (TRIPLE, {}),
            (TRIPLE, {"inputs": SIZES | {"scale_factor": (np.float32, [1, 2])}}),
            ({**TRIPLE, "masks": zeros(1, 300, 80, 80)}, {"inputs": SIZES}),
            ({"boxes": zeros(1, CELLS, 4), "scores": zeros(1, CELLS, 80)}, {}),
            ({"dets": zeros(1, 300, 5), "labels": zeros(1, 300, dtype=np.int64)}, {}),
            (
                {"logits": zeros(1, 100, 92), "pred_boxes": zeros(1, 100, 4)},
                {"inputs": {"pixel_mask": (np.int64, [1, 640, 640])}},
            ),
        ],
    )
    def test_unknown_outputs(
        self, make_model: Any, outputs: dict[str, np.ndarray], more: dict[str, Any]
    ) -> None:
        said = refusal(make_model(outputs, **more))
        for name in (*outputs, *more.get("inputs", {}), *LAYOUTS):
            assert name in said
        assert re.search(r"images float32 \[1, 3, 640, 640\]", said)
        assert "None" not in said

    def test_names_that_the_outputs_do_not_have(self, make_model: Any) -> None:
        model = make_model({"output0": zeros(1, 56, CELLS)})
        assert "4 numbers and 1 scores per box" in refusal(model, names=["person"])
        model = make_model({"dets": zeros(1, 300, 4), "labels": zeros(1, 300, 91)})
        assert "91 for 2 names" in refusal(model, names=["a", "b"])
        model = make_model({"pred_boxes": zeros(1, 300, 4), "logits": zeros(1, 300, 91)})
        assert "91 for 90 names" in refusal(model, names=[str(i) for i in range(90)])
        model = make_model({"output0": zeros(1, 300, 84)})
        assert "not 84" in refusal(model, names=["a", "b"])

    def test_rows_of_rt_detr_with_two_scores_or_a_score_and_a_class(self, make_model: Any) -> None:
        model = make_model({"output0": zeros(1, 300, 6)}, metadata=RT_DETR | {"names": "['a', 'b']"})
        said = refusal(model)
        assert "detr_rows (2 classes)" in said
        assert "detr_end_to_end (2 classes)" in said

    def test_rows_that_may_be_boxes_of_two_classes_or_detections(self, make_model: Any) -> None:
        metadata = {"end2end": "True", "names": "['a', 'b']"}
        model = make_model({"output0": zeros(1, 84, 6)}, size=(64, 64), metadata=metadata)
        assert "end_to_end" in refusal(model)
        assert of(model, layout="end_to_end").names == ("a", "b")

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_a_layout_that_the_graph_cannot_have(self, make_model: Any, layout: str) -> None:
        said = refusal(make_model({"output": zeros(1, 1000)}), layout=layout)
        assert f"layout {layout}" in said
        assert "output float32 [1, 1000]" in said

    @pytest.mark.parametrize(
        "names", ["{0: 'a', 2: 'b'}", "[1, 2]", "[]", "a, b", "{'a': 'b'}", "(" * 5000, "x" * (1 << 19)]
    )
    def test_names_that_are_none(self, make_model: Any, names: str) -> None:
        model = make_model({"output0": zeros(1, 300, 6)}, metadata={"names": names})
        assert "give the setting names instead" in refusal(model)
        assert of(model, names=["a"]).names == ("a",)


OPEN = {"output0": ["batch", "n", "m"]}


@pytest.mark.parametrize(
    ("shape", "metadata", "name"),
    [
        ((1, 300, 6), {"end2end": "True"}, "end_to_end"),
        ((1, 84, 2100), {"end2end": "False"}, "one_to_many"),
        ((1, 84, 2100), {"end2end": "True"}, "one_to_one"),
        ((1, 6300, 85), {}, "objectness"),
    ],
)
def test_a_model_with_open_sizes_is_run_to_see_them(
    make_model: Any, shape: tuple[int, ...], metadata: dict[str, str], name: str
) -> None:
    model = make_model(
        {"output0": zeros(*shape)},
        size=("height", "width"),
        shapes=OPEN,
        metadata=metadata | {"imgsz": "[320, 320]"},
        batch="batch",
    )
    assert model.outputs["output0"].shape == (0, 0, 0)
    assert of(model, run=True).name == name
    assert "output0 float32 [?, ?, ?]" in refusal(model)


def test_what_was_seen_stands_in_the_refusal(make_model: Any) -> None:
    model = make_model({"output0": zeros(1, 300, 9)}, shapes=OPEN)
    assert "output0 float32 [1, 300, 9]" in refusal(model, run=True)


def test_a_model_that_tells_enough_is_not_run(make_model: Any) -> None:
    shapes = {"output0": ["batch", 84, "n"]}
    model = make_model({"output0": zeros(1, 84, CELLS)}, shapes=shapes)

    def run(feed: Any, outputs: list[str]) -> list[np.ndarray]:
        raise AssertionError

    assert recognise(model.inputs, model.outputs, model.metadata, run=run).name == "one_to_many"


def test_a_model_that_fails_on_the_image(make_model: Any) -> None:
    model = make_model({"output0": zeros(1, 300, 6)}, size=("h", "w"), shapes=OPEN, refuses=True)
    said = refusal(model, run=True, input_width=320, input_height=256)
    assert "fails on an image of 320 x 256 px" in said


def test_a_model_with_inputs_that_nobody_knows_is_not_run(make_model: Any) -> None:
    inputs = {"pixel_mask": (np.int64, ["batch", 640, 640])}
    model = make_model({"output0": zeros(1, 300, 6)}, shapes=OPEN, inputs=inputs)
    assert "pixel_mask" in refusal(model, run=True)
