"""Files from all over: brought to one form, or refused by name."""

import pickle
import struct
from zipfile import ZipFile

import librosa
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image, ImageOps
from torch.testing import assert_close

from mmlib.data.reading import media
from mmlib.data.reading.folders import frame_names
from mmlib.data.reading.media import (
    read_array,
    read_first_channel,
    read_image,
    read_sound,
)
from voices import voice

RATE = 16_000


@pytest.fixture
def tone():
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


@pytest.fixture
def sound(tmp_path):
    def write(samples, rate=RATE, name="a.wav", **options):
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


def test_a_wav_is_read_as_written(sound, tone):
    x = read_sound(sound(tone), RATE)
    assert x.shape == (RATE,) and x.dtype == torch.float32
    assert_close(x, torch.from_numpy(tone).float(), atol=2**-15, rtol=0)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.aiff"])
def test_other_formats_of_sound(name, sound, tone):
    assert read_sound(sound(tone, name=name), RATE).abs().max() > 0.4


def test_channels_are_averaged(sound, tone):
    x = read_sound(sound(np.stack([tone, np.zeros(RATE), -0.5 * tone], axis=1)), RATE)
    assert_close(x, torch.from_numpy(tone).float() / 6, atol=2**-14, rtol=0)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_another_rate_is_converted(rate, sound):
    there = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    x = read_sound(sound(there, rate), RATE)
    assert len(x) == RATE
    here = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    inside = slice(200, -200)  # the ends ring
    assert_close(x[inside], torch.from_numpy(here).float()[inside], atol=5e-3, rtol=0)


RATES = [4_000, 8_000, 11_025, 15_999, 16_000, 22_050, 24_000, 32_000, 44_056, 44_100, 48_000]


@pytest.mark.slow
@pytest.mark.parametrize("rate", [*RATES, 192_000])
def test_a_recording_is_what_librosa_loads(rate, sound):
    """Odd rates and lengths too; below 35,400 Hz one has more than half of what comes out holds."""
    for seconds, channels in ((1.0, 1), (0.637, 2), (5 / rate, 2), (1 / rate, 1)):
        path = sound(voice(rate, seconds, channels), rate)
        for sample_rate in (16_000, 22_050, 35_400):
            wanted, _ = librosa.load(path, sr=sample_rate)
            found = read_sound(path, sample_rate)
            assert_close(found, torch.from_numpy(wanted), atol=1e-6, rtol=0)


def test_nothing_above_half_the_new_rate_comes_through(sound):
    for rate, hertz in ((44_100, 12_000), (48_000, 20_000), (44_056, 11_500)):
        there = 0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
        assert read_sound(sound(there, rate), 22_050)[200:-200].abs().max() < 1e-4


def test_the_first_channel_at_its_own_rate(sound):
    both = voice(44_100, 0.2, channels=2)
    x, rate = read_first_channel(sound(both, 44_100))
    assert rate == 44_100 and x.dtype == torch.float32 and x.is_contiguous()
    assert_close(x, torch.from_numpy(both[:, 0]).float(), atol=2**-15, rtol=0)


def test_sounds_that_are_not_there_or_broken(sound, tone, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.wav is missing"):
        read_sound(tmp_path / "none.wav", RATE)
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        read_sound(tmp_path, RATE)
    path = sound(tone)
    whole = path.read_bytes()
    for content in (b"RIFF", whole[:40], b"x" * 3000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.wav is no sound that can be read"):
            read_sound(path, RATE)
    path.write_bytes(whole[:20_000])
    with pytest.raises(ValueError, match=r"a\.wav is cut short by 12,044 bytes"):
        read_sound(path, RATE)
    path.write_bytes(whole[:44])  # the header alone, which promises a second
    with pytest.raises(ValueError, match=r"a\.wav is cut short"):
        read_sound(path, RATE)
    with pytest.raises(ValueError, match="holds no sound, 0 samples"):
        read_sound(sound(np.zeros(0)), RATE)
    with pytest.raises(ValueError, match="not finite"):
        read_sound(sound(np.array([0.0, np.nan, np.inf]), subtype="FLOAT"), RATE)
    for rate in (100, 400_000):
        with pytest.raises(ValueError, match=f"{rate} samples a second; expected 4000 to 192000"):
            read_sound(sound(tone, rate), RATE)


def test_a_small_file_of_many_hours_is_not_read(sound, monkeypatch):
    """Of silence, a flac of a megabyte holds hours."""
    path = sound(np.zeros((9000, 2)), name="a.flac").rename(sound(np.zeros(1)))
    assert len(read_sound(path, RATE)) == 9000
    monkeypatch.setattr(media, "MOST_VALUES", 17_999)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(ValueError, match=r"a\.wav has 9,000 samples of 2 channels; expected"):
        read_sound(path, RATE)


def test_a_recording_that_breaks_off(sound, tone):
    path = sound(np.tile(tone, 5), name="a.mp3")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"a\.mp3 is cut short: it ends after 2\.\d+ of 5\.00 s"):
        read_sound(path, RATE)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_declares_no_size(size, sound, tone):
    """What ffmpeg writes to a pipe; it is whole all the same."""
    path = sound(tone)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    assert len(read_sound(path, RATE)) == RATE


def test_silence_is_a_sound_too(sound):
    assert read_sound(sound(np.zeros(100)), RATE).equal(torch.zeros(100))


@pytest.fixture
def rgb():
    y, x = np.mgrid[:30, :40]
    return np.stack([6 * x, 8 * y, 255 - 6 * x], axis=-1).astype(np.uint8)


@pytest.fixture
def picture(tmp_path):
    def write(image, name="a.png", **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return write


def test_a_picture_is_read_as_written(picture, rgb):
    x = read_image(picture(Image.fromarray(rgb)))
    assert x.dtype == torch.uint8 and x.movedim(0, -1).is_contiguous()
    assert x.equal(torch.from_numpy(rgb).permute(2, 0, 1))


def test_resizing_is_pils_to_a_level(picture, rgb):
    x = read_image(picture(Image.fromarray(rgb)), (24, 12))
    wanted = Image.fromarray(rgb).resize((12, 24), Image.Resampling.BILINEAR)
    wanted = torch.from_numpy(np.array(wanted)).permute(2, 0, 1)
    assert (x.int() - wanted.int()).abs().max() <= 1 and (x == wanted).float().mean() > 0.9
    assert read_image(picture(Image.fromarray(rgb)), 7).shape == (3, 7, 7)


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("L", "a.jpg"), ("1", "a.png")])
def test_grey_becomes_three_alike(mode, name, picture, rgb):
    x = read_image(picture(Image.fromarray(rgb).convert(mode), name))
    assert x.shape == (3, 30, 40) and x[0].equal(x[1]) and x[0].equal(x[2]) and x.any()


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.jpg"), ("P", "a.png"), ("RGBA", "a.png")])
def test_other_colours_become_rgb(mode, name, picture, rgb):
    options = {"quality": 95} if name == "a.jpg" else {}
    image = Image.fromarray(rgb).convert(mode)
    x = read_image(picture(image, name, **options)).float()
    wanted = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float()
    assert x.shape == (3, 30, 40) and (x - wanted).abs().mean() < 5


def test_16_bits_are_scaled_and_not_cut(picture):
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    x = read_image(picture(Image.fromarray(levels)))
    assert x[0].flatten().tolist() == list(range(256))


def test_a_single_pixel(picture):
    path = picture(Image.new("RGB", (1, 1), (9, 8, 7)))
    assert read_image(path).flatten().tolist() == [9, 8, 7]
    assert read_image(path, 5)[2].unique().tolist() == [7]


def test_pictures_that_are_not_there_or_broken(picture, rgb, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.jpg is missing"):
        read_image(tmp_path / "none.jpg")
    for name in ("a.jpg", "a.png"):
        path = picture(Image.fromarray(rgb), name)
        whole = path.read_bytes()
        for content, words in (
            (b"no picture", "is no picture that can be read"),
            (whole[: len(whole) // 2], "is cut short: its end is missing"),
        ):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=f"{name} {words}"):
                read_image(path)


def test_a_picture_of_absurd_size_is_not_decoded(picture):
    path = picture(Image.new("1", (10_000, 6_000)))  # 10 kB on the disk, 180 MB in memory
    with pytest.raises(
        ValueError, match=r"a\.png has 10000 x 6000 pixels; expected 50,000,000 at most"
    ):
        read_image(path)


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (3, 900)])
def test_a_picture_of_absurd_proportions_is_not_decoded(size, picture):
    """Resized to cover 256 x 256, a line of 50 million pixels would take 38 GB."""
    path = picture(Image.new("1", size))
    with pytest.raises(ValueError, match=f"a.png has {size[0]} x {size[1]} pixels; expected"):
        read_image(path, 256)
    assert read_image(picture(Image.new("RGB", (10, 2_500))), 4).shape == (3, 4, 4)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(orientation, name, rgb, tmp_path):
    image, exif = Image.fromarray(rgb), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / name, exif=exif, quality=100)
    found = read_image(tmp_path / name)
    with Image.open(tmp_path / name) as stored:
        wanted = ImageOps.exif_transpose(stored).convert("RGB")
    assert found.equal(torch.from_numpy(np.array(wanted)).permute(2, 0, 1))
    assert found.shape[1:] == (rgb.shape[:2] if orientation < 5 else rgb.shape[1::-1])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_turns_nothing(rgb, tmp_path):
    luck = np.random.default_rng(0)
    for _ in range(50):
        Image.fromarray(rgb).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*" + luck.bytes(60))
        assert read_image(tmp_path / "a.jpg").shape[1:] == rgb.shape[:2]


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    names = ["frame_00010.jpg", "frame_00002.jpg", "frame_00001.jpg"]
    names += [".hidden.jpg", "._frame_00001.jpg", "notes.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert frame_names(tmp_path) == ["frame_00001.jpg", "frame_00002.jpg", "frame_00010.jpg"]


def test_numbers_without_leading_zeros(tmp_path):
    for number in (10, 9, 1, 100, 2):
        (tmp_path / f"{number}.JPG").touch()
    assert frame_names(tmp_path) == ["1.JPG", "2.JPG", "9.JPG", "10.JPG", "100.JPG"]


def test_folders_without_frames(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no frames"):
        frame_names(tmp_path)
    with pytest.raises(FileNotFoundError, match="clip is missing"):
        frame_names(tmp_path / "clip")


class Shell:
    """What a hostile pickle does when it is opened."""

    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_stored_arrays(dtype, tmp_path):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    np.save(tmp_path / "a.npy", x)
    torch.save(torch.from_numpy(x), tmp_path / "a.pt")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(x, protocol))
        for name in ("a.npy", "a.pkl", "a.pt"):
            read = read_array(tmp_path / name, (2, 3))
            assert read.equal(torch.arange(6.0).view(2, 3)) and read.dtype == torch.float32


def test_a_pickle_from_numpy_1(tmp_path):
    content = pickle.dumps(np.ones(3), 2)
    (tmp_path / "a.pkl").write_bytes(content.replace(b"numpy._core", b"numpy.core"))
    assert read_array(tmp_path / "a.pkl").tolist() == [1, 1, 1]


def test_a_pickle_runs_nothing(tmp_path):
    for content in (pickle.dumps(Shell()), pickle.dumps(np.array([Shell()], dtype=object))):
        (tmp_path / "a.pkl").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.pkl is no array .* run builtins\.exec"):
            read_array(tmp_path / "a.pkl")


def test_the_shape_is_checked_before_anything_is_converted(tmp_path, monkeypatch):
    """A file of a few bytes can stand for 16 GB: it is refused unread."""
    with open(tmp_path / "a.npy", "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**16, 2**16)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(2**34 + 128)  # sparse: it takes no room
    torch.save(torch.zeros(1).expand(2**16, 2**16), tmp_path / "a.pt")
    monkeypatch.setattr(torch, "as_tensor", lambda *_: pytest.fail("converted"))
    for name in ("a.npy", "a.pt"):
        with pytest.raises(ValueError, match=rf"{name} has shape \(65536, 65536\); expected"):
            read_array(tmp_path / name, (2, 3))


def test_arrays_that_are_small_on_the_disk_alone(tmp_path, monkeypatch):
    torch.save(torch.zeros(1).expand(10**6, 10**6), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt is no array .*the shape \(1000000, 1000000\)"):
        read_array(tmp_path / "a.pt")
    torch.save(torch.zeros(100_000), tmp_path / "a.pt")
    with ZipFile(tmp_path / "a.pt") as whole, ZipFile(tmp_path / "b.pt", "w", 8) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert (tmp_path / "b.pt").stat().st_size < 3000
    assert read_array(tmp_path / "b.pt").shape == (100_000,)
    monkeypatch.setattr(media, "MOST_VALUES", 49_999)
    with pytest.raises(ValueError, match=r"b\.pt is no array .*unpacks to 40\d,\d+ bytes"):
        read_array(tmp_path / "b.pt")


def test_arrays_that_are_not_there_or_broken(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.npy is missing"):
        read_array(tmp_path / "a.npy")
    for name in ("a.npy", "a.pkl", "a.pt"):
        for content in (b"\x93NUMPY", b"garbage" * 9):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=f"{name} is no array that can be read"):
                read_array(tmp_path / name)
    np.save(tmp_path / "a.npy", np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"has shape \(3, 2\); expected \(2, 3\)"):
        read_array(tmp_path / "a.npy", (2, 3))
    np.save(tmp_path / "a.npy", np.array([np.inf]))
    with pytest.raises(ValueError, match="not finite"):
        read_array(tmp_path / "a.npy")
    torch.save({"array": torch.ones(2, 3)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt is no array that can be read"):
        read_array(tmp_path / "a.pt", (2, 3))
    np.save(tmp_path / "a.npy", np.array(["text"]))
    with pytest.raises(ValueError, match="is no array"):
        read_array(tmp_path / "a.npy")
