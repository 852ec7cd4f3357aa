"""CREMA-D item by item, as the released loaders read it: what `make bench` measures against.

Our own words for the recipe of OGM-GE's repository (commit 0f64793): sound and picture are read,
transformed and augmented anew for every item of every epoch.
"""

from pathlib import Path

import librosa
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms

from mmlib.data.reading.transforms import IMAGENET

RATE = 22_050
SAMPLES = 3 * RATE


class PerItem(Dataset):
    """Clips of a CREMA-D tree, one frame each: `(audio (1, 257, 188), visual (3, 224, 224))`."""

    def __init__(self, root: Path, clips: list[tuple[str, int]], train: bool):
        self.root, self.clips = Path(root), clips
        cropped = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose(
            [
                *(cropped if train else [transforms.Resize((224, 224))]),
                transforms.ToTensor(),
                transforms.Normalize(*IMAGENET),
            ]
        )

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        clip, target = self.clips[index]
        audio = torch.from_numpy(log_magnitude(self.root / "AudioWAV" / f"{clip}.wav"))
        return {"audio": audio[None], "visual": self.picture(clip)}, target, index

    def picture(self, clip):
        """One frame of the clip, drawn at random."""
        frames = sorted((self.root / "Image-01-FPS" / clip).iterdir())
        chosen = int(torch.randint(len(frames), ()))
        return self.transform(Image.open(frames[chosen]).convert("RGB"))


def log_magnitude(path: Path) -> np.ndarray:
    """Three seconds of the sound, repeated where it is shorter: `(257, 188)` float32."""
    sound, _ = librosa.load(path, sr=RATE)
    sound = np.resize(sound, SAMPLES).clip(-1, 1)  # three copies at most, but for clips under 1 s
    return np.log(np.abs(librosa.stft(sound, n_fft=512, hop_length=353)) + 1e-7)
