"""Project: a stage graph of one's own, what stands in it, and what its stages do.

init         `udta.init`: a folder with dvc.yaml, params.yaml, .gitignore and README.md, made of template/
add          `udta.add_dataset`, `add_backbone`, `add_adapter`: one more entry in params.yaml
stages/      what `udta stage NAME` does, a file a stage, registered
running      which stage it is, of which names; and that it dies with `dvc`

_naming      what an entry is called, and where files lie, from a project's folder
_yaml_text   params.yaml with one more entry, its comments where they were
_dvc         `dvc init`
_places      where the stages leave what they make
_code        which code decides the result of a stage
"""
