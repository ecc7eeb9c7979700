"""Bundles of arguments that one kernel gives another by reference.

By value, each call would copy every number of every bundle to the stack, two hundred for a step of training, and keep
them apart in the caller: that took a third of a small network's step, and as much of the compiler's time. A linked
kernel takes an address, and reads the fields that it uses. A bundle never changes, so what is read once is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import lower_getattr_generic, register_model
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr

if TYPE_CHECKING:
    from llvmlite import ir


class ByReference(types.Type):
    """The address of a bundle; its fields are read as those of the bundle are.

    Parameters
    ----------
    bundle : types.BaseNamedTuple
    """

    def __init__(self, bundle: Any) -> None:
        self.bundle = bundle
        super().__init__(f"reference({bundle})")


@register_model(ByReference)
class ByReferenceModel(models.PrimitiveModel):
    """A pointer to the values of the fields."""

    def __init__(self, dmm: Any, fe_type: ByReference) -> None:
        super().__init__(dmm, fe_type, dmm.lookup(fe_type.bundle).get_value_type().as_pointer())


@infer_getattr
class BundleAttribute(AttributeTemplate):
    """The type of a field."""

    key = ByReference

    def generic_resolve(self, value: Any, attr: str) -> Any:  # type: ignore[override]
        """Return the field's type; None if there is no such field."""
        fields = value.bundle.fields
        return value.bundle.types[fields.index(attr)] if attr in fields else None


@lower_getattr_generic(ByReference)
def load_field(context: Any, builder: ir.IRBuilder, kind: ByReference, address: ir.Value, name: str) -> ir.Value:
    """Emit the load of a field."""
    field = builder.load(cgutils.gep_inbounds(builder, address, 0, kind.bundle.fields.index(name)))
    field.set_metadata("invariant.load", builder.module.add_metadata([]))
    return field


def pointer_to(builder: ir.IRBuilder, bundle: ir.Value) -> ir.Value:
    """Emit the store of a bundle's fields; return their address, valid until the function returns."""
    return cgutils.alloca_once_value(builder, bundle)
