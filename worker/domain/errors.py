"""Split errors by who must act on them."""

from __future__ import annotations

import errno

# No memory, no file descriptor: nobody need mend a file or a setting for that, a restart may do.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class WeirError(Exception):
    """Root of every error that Weir raises on purpose."""

    exit_code = 1


class Retryable(WeirError):
    """Tell the engine to try again inside its deadline."""


class BrokerUnavailable(Retryable):
    """Report brokers that did not answer within the budget."""

    exit_code = 69


class Poison(WeirError):
    """Send one record to the dead-letter topic."""


class Fatal(WeirError):
    """Ask the supervisor for a restart."""

    exit_code = 70


class Fenced(Fatal):
    """Report that another process took over this slot or partition."""


class Stuck(Fatal):
    """Report a phase that outlived the watchdog."""

    exit_code = 71


class FailStop(WeirError):
    """Stop deciding and wait, not ready, for a person; the message says what to do."""

    exit_code = 73


class StateMismatch(FailStop):
    """Report state that cannot belong to the committed offset."""


class RetentionOvertook(FailStop):
    """Report input that retention deleted before it was read."""


class FuseOpen(FailStop):
    """Report too many records that died by our own fault."""

    exit_code = 72


class UserError(WeirError):
    """Tell a person what is wrong, where, and what to change."""

    exit_code = 1


class ConfigError(UserError):
    """Report a setting that is refused."""

    exit_code = 78


class PolicyError(UserError):
    """Report a policy bundle that is refused."""

    exit_code = 1
