from __future__ import annotations

from penstock.v1 import task_pb2
from penstock_worker import Fail, NonRetryableError, Retry
from penstock_worker.failure import CAUSES, MESSAGE_BYTES, STACK_BYTES, failure_of


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even a text")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def depth(failure: task_pb2.Failure) -> int:
    return 1 + depth(failure.cause) if failure.HasField("cause") else 1


def test_failure_names_the_exception_and_the_line() -> None:
    failure = failure_of(raised(ValueError("bad value")))

    assert (failure.kind, failure.message) == ("ValueError", "bad value")
    assert "in raised" in failure.stack_trace
    assert not failure.HasField("retryable")


def test_texts_are_cut_to_the_contracts_bounds() -> None:
    failure = failure_of(raised(ValueError("é" * 10_000)))

    assert len(failure.message.encode()) <= MESSAGE_BYTES
    assert failure.message.endswith("…")
    assert len(failure.stack_trace.encode()) <= STACK_BYTES


def test_chain_of_causes_is_bounded() -> None:
    error: BaseException = ValueError("innermost")
    for number in range(20):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer

    assert depth(failure_of(error)) == CAUSES


def test_causes_that_form_a_ring_end() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first

    assert depth(failure_of(first)) == 2


def test_suppressed_context_is_left_out() -> None:
    error = ValueError("outer")
    error.__context__ = KeyError("inner")
    error.__suppress_context__ = True

    assert depth(failure_of(error)) == 1


def test_exception_without_a_text_is_still_a_failure() -> None:
    failure = failure_of(raised(Rude()))

    assert "cannot be made" in failure.message
    assert failure.stack_trace


def test_handlers_own_words_and_details_are_kept() -> None:
    failure = failure_of(Fail("no", kind="my.Kind", details={"n": 1}))

    assert (failure.kind, failure.details["n"]) == ("my.Kind", 1)


def test_details_that_do_not_fit_are_replaced_by_a_note() -> None:
    odd = failure_of(Fail("no", details={"n": object()}))
    large = failure_of(Fail("no", details={"n": "x" * 20_000}))

    assert "left out" in str(odd.details["penstock"])
    assert "left out" in str(large.details["penstock"])


def test_retry_policy_of_the_decorator_can_only_give_up_sooner() -> None:
    retry = Retry(max_attempts=3, non_retryable=(LookupError,))

    assert failure_of(KeyError("k"), retry=retry, attempt=1).retryable is False
    assert failure_of(ValueError("v"), retry=retry, attempt=3).retryable is False
    assert not failure_of(ValueError("v"), retry=retry, attempt=2).HasField("retryable")
    assert failure_of(NonRetryableError("n")).retryable is False


def test_lone_surrogates_do_not_break_the_report() -> None:
    assert failure_of(ValueError("a\ud800b")).message == "a?b"
