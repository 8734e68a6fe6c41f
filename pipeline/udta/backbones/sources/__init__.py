"""Where backbones come from: a file a source.

registry       the ones there are, a line each, and which one a name means
source         what each of them tells, and the blueprint that it draws of a model
downloads      whether anything may be downloaded just now
_hub           files of a hub, by repository and revision
_url           files at an address, in torch's cache
torchvision    classification models of torchvision, with their weight enums
timm           models of timm, by name or `timm:NAME`
hf_hub         models that timm pushed to a hub, `hf-hub:ORG/NAME`
local_dir      models that timm saved in a folder, `local-dir:DIR`
_timm_source   what these three share
_timm_config   the configuration that timm writes beside weights
_timm_model    how all three build a model: its input, its weights at another size
hf             vision models of transformers, `hf:ORG/NAME` or `hf:DIR`
_hf_trunk      one of them as a backbone: one vector out, and every weight from the file
_hf_input      what its image processor makes of an image, as a transform
open_clip      image towers of open_clip, by `open_clip:ARCH/TAG`
_open_clip_tower  such a tower as a backbone: filled, of any size, with what it pools before its projection
factory        `package.module:factory`: one's own, and those that a data file may name
"""
