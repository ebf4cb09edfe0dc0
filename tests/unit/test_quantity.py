from decimal import Decimal

import pytest

from stackroles.quantity import amount


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("5", "5"), ("500m", "0.5"), ("1k", "1000"), ("1Ki", "1024"), ("1.5Gi", "1610612736"),
        ("2G", "2000000000"), ("1Ei", "1152921504606846976"),
    ],
)  # fmt: skip
def test_a_quantity_is_a_number(quantity: str, number: str) -> None:
    assert amount(quantity) == Decimal(number)


@pytest.mark.parametrize("text", ["", "Gi", "5Q", "5 Gi"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        amount(text)
