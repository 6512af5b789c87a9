# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes small random checkpoints with LeRobot itself, and prints what it infers from them.

Run by an interpreter that has LeRobot and none of this package, with the type and an empty folder. The vision
language model of SmolVLA comes from a hub; here it is a random one of the same kind, in a folder.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors
from lerobot_peer_values import GREY, IMAGES, STATES, TASK

JOINTS, ROWS = len(STATES[0]), 20


def main() -> None:
    """Make the checkpoint and infer from each state without noise."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make_checkpoint(kind, folder)
    print("\n" + json.dumps([infer(str(folder), state) for state in STATES]))


def make_checkpoint(kind: str, folder: Path) -> None:
    """Save a policy with its processors."""
    inputs = {"observation.state": PolicyFeature(FeatureType.STATE, (JOINTS,))} | {
        f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, *size))
        for name, size in IMAGES.items()
    }
    outputs = {"action": PolicyFeature(FeatureType.ACTION, (JOINTS,))}
    sizes: dict[str, Any]
    if kind == "act":
        sizes = {
            "dim_model": 64,
            "n_heads": 4,
            "dim_feedforward": 128,
            "n_encoder_layers": 1,
            "n_vae_encoder_layers": 1,
            "pretrained_backbone_weights": None,
        }
    else:
        sizes = {
            "vlm_model_name": str(make_vision_language_model(folder.with_suffix(".vlm"))),
            "num_vlm_layers": 4,
            "num_steps": 3,
            "resize_imgs_with_padding": (64, 64),
            "empty_cameras": 1,
        }
    config = make_policy_config(
        kind,
        input_features=inputs,
        output_features=outputs,
        device="cpu",
        chunk_size=ROWS,
        n_action_steps=ROWS,
        **sizes,
    )
    config.validate_features()
    policy = get_policy_class(kind)(config)
    numbers = torch.arange(1.0, JOINTS + 1)
    vectors = {name: {"mean": numbers, "std": 0.1 * numbers} for name in ("observation.state", "action")}
    colours = {"mean": torch.full((3, 1, 1), 0.5), "std": torch.full((3, 1, 1), 0.25)}
    images = {name: colours for name in inputs if "images" in name}
    before, after = make_pre_post_processors(config, dataset_stats=vectors | images)
    if kind == "act":  # as trained ones have it; LeRobot would fetch these weights before it loads its own
        config.pretrained_backbone_weights = "ResNet18_Weights.IMAGENET1K_V1"
    for part in (policy, before, after):
        part.save_pretrained(folder)


def make_vision_language_model(folder: Path) -> Path:
    """Save the configuration and the processor of a small SmolVLM whose tokenizer knows a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        SmolVLMConfig,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    special = {
        "fake_image_token": "<fake_token_around_image>",
        "image_token": "<image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    words = ["<pad>", "<unk>", "<bos>", "<eos>", *special.values(), *TASK.split()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    text = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 64,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    }
    config = SmolVLMConfig(
        text_config=text,
        vision_config=vision,
        scale_factor=2,
        image_token_id=words.index("<image>"),
        pad_token_id=0,
    )
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<pad>",
            unk_token="<unk>",
            bos_token="<bos>",
            eos_token="<eos>",
            extra_special_tokens=special,
        ),
        video_processor=SmolVLMVideoProcessor(),
        image_seq_len=4,
    )
    for part in (config, processor):
        part.save_pretrained(folder)
    return folder


def infer(path: str, state: list[float]) -> Any:
    """Return the actions of a checkpoint as LeRobot's own inference server computes them, without noise."""
    config = PreTrainedConfig.from_pretrained(path)
    config.device, config.pretrained_path = "cpu", Path(path)
    config.pretrained_backbone_weights = None
    policy = get_policy_class(config.type).from_pretrained(path, config=config)
    before, after = make_pre_post_processors(config, pretrained_path=path)
    image = {
        f"observation.images.{name}": torch.full((1, 3, *size), GREY / 255) for name, size in IMAGES.items()
    }
    batch = {"observation.state": torch.tensor([state]), **image, "task": [TASK]}
    noise = {} if config.type == "act" else {"noise": torch.zeros(1, ROWS, config.max_action_dim)}
    with torch.no_grad():
        chunk = policy.predict_action_chunk(before(batch), **noise)
    return torch.stack([after(chunk[:, row])[0] for row in range(ROWS)]).tolist()


if __name__ == "__main__":
    main()
