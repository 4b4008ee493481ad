"""A folder like Kokoro's, for tests and benchmarks: the true architecture, random weights.

    python -m tests.services.tts.kokoro_files FOLDER

What it says is noise, as long as speech would be: the layer that gives each phoneme its length
is the one that is not random. Made in a process of its own, since torch is slow to import.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

VOICES = ("af_heart", "am_adam", "bf_emma", "ef_dora")

ROOT = Path(__file__).parents[3]
_FRAMES_PER_PHONEME_BIAS = -2.79  # 3 frames of 25 ms, as in natural speech

# Of Kokoro-82M 1.0.
_CONFIG = {
    "istftnet": {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "resblock_kernel_sizes": [3, 7, 11],
        "upsample_initial_channel": 512,
    },
    "dim_in": 64,
    "dropout": 0.2,
    "hidden_dim": 512,
    "max_conv_dim": 512,
    "max_dur": 50,
    "multispeaker": True,
    "n_layer": 3,
    "n_mels": 80,
    "n_token": 178,
    "style_dim": 128,
    "text_encoder_kernel_size": 5,
    "plbert": {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 2048,
        "max_position_embeddings": 512,
        "num_hidden_layers": 12,
        "dropout": 0.1,
    },
}
_PHONEMES = (
    ';:,.!?—…"()“” \u0303ʣʥʦʨᵝ\uab67AIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴø'
    "ɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
)

IS_INSTALLED = all(find_spec(name) is not None for name in ("kokoro", "torch"))


def make_model(folder: Path) -> Path:
    """Make the folder, without importing torch here."""
    subprocess.run(
        [sys.executable, "-m", "tests.services.tts.kokoro_files", str(folder)],
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    return folder


def _write(folder: Path) -> None:
    torch = import_module("torch")
    (folder / "voices").mkdir(parents=True)
    vocabulary = {phoneme: number for number, phoneme in enumerate(_PHONEMES, start=1)}
    (folder / "config.json").write_text(json.dumps({**_CONFIG, "vocab": vocabulary}))
    # As in the real file, the names carry the prefix of torch's DataParallel.
    length = {
        "module.duration_proj.linear_layer.weight": torch.zeros(50, 512),
        "module.duration_proj.linear_layer.bias": torch.full((50,), _FRAMES_PER_PHONEME_BIAS),
    }
    torch.save({"predictor": length}, folder / "kokoro-v1_0.pth")
    for name in VOICES:
        torch.save(0.15 * torch.randn(510, 1, 256), folder / "voices" / f"{name}.pt")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
