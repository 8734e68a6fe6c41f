"""DICOM files as bytes, made by pydicom."""

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage


def dicom(values, photometric="MONOCHROME2", frames=None, **elements):
    """A file of these pixels: `[height, width]` in grey or `[height, width, 3]`, or a stack of frames of them."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    values = np.asarray(values)
    one = values[0] if frames else values
    if frames:
        data.NumberOfFrames = frames
    data.PhotometricInterpretation, data.SamplesPerPixel = photometric, one.shape[2] if one.ndim == 3 else 1
    if one.ndim == 3:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = one.shape[:2]
    data.BitsAllocated = data.BitsStored = 8 * values.dtype.itemsize
    data.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in elements.items():
        setattr(data, name, value)
    data.HighBit = data.BitsStored - 1
    data.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def items(*datasets):
    """A sequence of items with these elements each."""
    made = []
    for elements in datasets:
        made.append(Dataset())
        for name, value in elements.items():
            setattr(made[-1], name, value)
    return made
