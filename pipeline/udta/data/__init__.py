"""Images: which there are (manifest, readers), their pixels (decode), and the views made of them (transforms, views)."""

from udta.data.decode import MAX_PIXELS, EncodedImage, decode_image
from udta.data.manifest import UNLABELLED, Manifest, Sample
from udta.data.readers import OnError, read_images, read_unlabelled
from udta.data.transforms import Transform
from udta.data.views import DECODERS, Decoder, ViewSpec

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
