"""What every store engine promises. An engine's test module inherits `StoreContract`."""

from damage_contract import DamageContract
from growth_contract import GrowthContract
from read_contract import ReadContract
from write_contract import WriteContract


class StoreContract(ReadContract, WriteContract, DamageContract, GrowthContract):
    """Inherit and run for one engine: `format` is its name."""
