"""Format numbers for people."""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """Format a fraction in percent.

    Args:
        share: fraction, 0 to 1.
        digits: number of decimals.

    Examples:
        >>> percent(0.5), percent(0.482, 1)
        ('50 %', '48.2 %')
    """
    return f"{100 * share:.{digits}f} %"


def portion(fraction: float) -> str:
    """Format a share in whole percent, without rounding it to 0 % or 100 %.

    Args:
        fraction: a probability or another share, 0 to 1.

    Examples:
        >>> portion(0.625), portion(0.999), portion(0.001), portion(1)
        ('62 %', '>99 %', '<1 %', '100 %')
    """
    return ">99 %" if 0.995 < fraction < 1 else "<1 %" if 0 < fraction < 0.005 else percent(fraction)


def clock(seconds: float, digits: int = 0) -> str:
    """Format a time as minutes and seconds.

    Args:
        seconds: time in seconds, 0 or more.
        digits: number of decimals of the seconds; with 0, the seconds are rounded down, as on a clock.

    Examples:
        >>> clock(75.9), clock(75.28, 1), clock(59.96, 1), clock(3600)
        ('1:15', '1:15.3', '1:00.0', '60:00')
    """
    minutes, seconds = divmod(round(seconds, digits) if digits else int(seconds), 60)
    return f"{int(minutes)}:{seconds:0{3 + digits if digits else 2}.{digits}f}"


def megabytes(size: int, digits: int = 1) -> str:
    """Format a number of bytes in megabytes (10^6 bytes).

    Examples:
        >>> megabytes(1_234_567_890), megabytes(45_600, 2)
        ('1,234.6 MB', '0.05 MB')
    """
    return f"{size / 1e6:,.{digits}f} MB"
