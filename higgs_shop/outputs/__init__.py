"""Where a workspace's events go: its outputs, what each of them wants, and whether it runs."""

from higgs_shop.outputs.errors import NoSuchOutput, OutputRefused
from higgs_shop.outputs.keeping import (
    MAIN_OUTPUT,
    add_output,
    change_output,
    change_secrets,
    end_gathering,
    ensure_main_output,
    find_output,
    hold_alone,
    list_outputs,
    mark_full,
    outputs_ending,
    pause_output,
    remove_output,
    resume_output,
)
from higgs_shop.outputs.output import (
    GatheringState,
    Output,
    OutputState,
    held_output,
    outputs_of,
    running_outputs,
)
from higgs_shop.outputs.rotation import (
    MOST_SECRETS,
    fingerprint,
    with_another_secret,
    without_secret,
)
from higgs_shop.outputs.settings import METADATA, OutputSettings
from higgs_shop.outputs.unreachable import (
    LONGEST_LEFT_ALONE_MS,
    give_probe_back,
    leave_alone,
    leave_alone_no_more,
    take_probe,
)
from higgs_shop.outputs.wanted import (
    WantedOutput,
    as_texts,
    changed_output,
    new_output,
    signing_secret_or_new,
)

__all__ = [
    "LONGEST_LEFT_ALONE_MS",
    "MAIN_OUTPUT",
    "METADATA",
    "MOST_SECRETS",
    "GatheringState",
    "NoSuchOutput",
    "Output",
    "OutputRefused",
    "OutputSettings",
    "OutputState",
    "WantedOutput",
    "add_output",
    "as_texts",
    "change_output",
    "change_secrets",
    "changed_output",
    "end_gathering",
    "ensure_main_output",
    "find_output",
    "fingerprint",
    "give_probe_back",
    "held_output",
    "hold_alone",
    "leave_alone",
    "leave_alone_no_more",
    "list_outputs",
    "mark_full",
    "new_output",
    "outputs_ending",
    "outputs_of",
    "pause_output",
    "remove_output",
    "resume_output",
    "running_outputs",
    "signing_secret_or_new",
    "take_probe",
    "with_another_secret",
    "without_secret",
]
