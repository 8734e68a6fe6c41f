"""Images: which there are, the bytes of each, their pixels, and the views that are made of them.

_read              IMAGES, as a user names them -> the manifest
readers            what IMAGES may be, a file each, registered: folders, tables, lists of paths, built-in datasets by name
builtin            the datasets that are known by name, a file each, registered
_manifest          the ordered table of samples
_sample            one of them: its bytes, as they were when it was listed
_decode            bytes -> upright pixels in sRGB, by one of _pillow_file, _dicom_file, _tiff_file
_given             an image as a program has it: a path, an array, an image of Pillow
_views             pixels -> views, each by a transform and random numbers of its own
decode_process     all of that in a process of its own, for a GPU that takes more than one Python makes
ops                the operations that transforms are made of

_state             whether any of them may have changed, seen without reading them

_contents          where the bytes are: files here; archives and tables beside their readers
_image_file        a file of its own for each
_whole_file        what a DICOM and a TIFF have in common as files
_listing           what a reader is, and what it gives
_splits            which samples are for training: from a file, or by a seeded rule
_formats           which files are images, and which decoders they need
_pillow_file       what Pillow and its plug-ins read
_dicom_file        what pydicom reads
_tiff_file         what tifffile reads
_pixel_spec        channels, and which values become black and white
_size              how large an image may be
_jxl_size          how large a JPEG XL is, by its header
_quiet             warnings and logs of those libraries
_colour_profiles   other colour spaces than sRGB
_png_text          megabytes of text in a PNG
"""

from udta.images._decode import EncodedImage, decode_image
from udta.images._formats import extra_formats
from udta.images._given import GivenImage, images_in
from udta.images._manifest import Manifest
from udta.images._pixel_spec import PixelSpec, Window
from udta.images._read import OnError, find_packed, load_manifest, read_images, read_unlabelled
from udta.images._sample import Sample
from udta.images._size import MAX_PIXELS
from udta.images._state import ImagesState, images_state
from udta.images._views import DECODERS, Decoder, Transform, ViewSpec

__all__ = [
    "DECODERS",
    "MAX_PIXELS",
    "Decoder",
    "EncodedImage",
    "GivenImage",
    "ImagesState",
    "Manifest",
    "OnError",
    "PixelSpec",
    "Sample",
    "Transform",
    "ViewSpec",
    "Window",
    "decode_image",
    "extra_formats",
    "find_packed",
    "images_in",
    "images_state",
    "load_manifest",
    "read_images",
    "read_unlabelled",
]
