"""Whether this machine is ready, and what to do where it is not: `udta.doctor`.

_check        what is found of one thing, and what to do about it
doctor        the registry of checks, in the order of the report, and the call
_software     Python, torch beside torchvision, formats of images, extras, other programs, locale
_accelerator  GPU, driver and the CUDA that torch was built for
_resources    memory, cores, open files, a disk's room and speed
"""

from udta.diagnosis.doctor import Diagnosis, doctor

__all__ = ["Diagnosis", "doctor"]
