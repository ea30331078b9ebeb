"""What you should get: a figure beside the range it should fall in, checked by the machine."""


def band(name: str, value: float, low: float, high: float) -> None:
    """Print `value` with the range in which a right run ends up; outside it, stop with one line that says so."""
    form = ",d" if isinstance(value, int) else ".4g"
    shown, least, most = f"{name}: {value:{form}}", f"{low:{form}}", f"{high:{form}}"
    if not low <= value <= high:
        raise AssertionError(
            f"{shown}，应在 {least} 到 {most} 之间：从这一课的第一格重新运行 "
            f"should be {least} to {most}: run the lesson again from its first cell"
        )
    print(f"✓ {shown}  ({least} … {most})")
