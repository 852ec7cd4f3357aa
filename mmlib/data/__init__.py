"""Data sets and how to iterate over them."""

from mmlib.batches import batches
from mmlib.data.av_digits import AVDigits
from mmlib.data.ave import AVE
from mmlib.data.cremad import CremaD
from mmlib.data.kinetics_sounds import KineticsSounds
from mmlib.data.modelnet40 import ModelNet40
from mmlib.data.mvsa import MVSASingle
from mmlib.data.nyud2 import NYUDepthV2
from mmlib.data.spectrograms import log_mel
from mmlib.data.ucf101 import UCF101

DATA = {  # as the command line names them
    "av-digits": AVDigits,
    "cremad": CremaD,
    "ave": AVE,
    "kinetics-sounds": KineticsSounds,
    "mvsa-single": MVSASingle,
    "nyud2": NYUDepthV2,
    "ucf101": UCF101,
    "modelnet40": ModelNet40,
}

__all__ = ["DATA", "batches", "log_mel", *(name.__name__ for name in DATA.values())]
