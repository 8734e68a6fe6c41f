"""Images: which there are (manifest, readers), their pixels (decode), and the views made of them (transforms, views)."""

from udta.images.decode import MAX_PIXELS, EncodedImage, decode_image
from udta.images.manifest import UNLABELLED, Manifest, Sample
from udta.images.read import OnError, read_images, read_unlabelled
from udta.images.transforms import Transform
from udta.images.views import DECODERS, Decoder, ViewSpec

__all__ = [
    "DECODERS",
    "MAX_PIXELS",
    "UNLABELLED",
    "Decoder",
    "EncodedImage",
    "Manifest",
    "OnError",
    "Sample",
    "Transform",
    "ViewSpec",
    "decode_image",
    "read_images",
    "read_unlabelled",
]
