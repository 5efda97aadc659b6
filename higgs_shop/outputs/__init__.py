"""Where a workspace's events go: its outputs, what each of them wants, and whether it runs."""

from higgs_shop.outputs.errors import NoSuchOutput, OutputRefused
from higgs_shop.outputs.keeping import (
    MAIN_OUTPUT,
    add_output,
    change_output,
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
    every_output,
    held_output,
    outputs_of,
)
from higgs_shop.outputs.settings import METADATA, OutputSettings

__all__ = [
    "MAIN_OUTPUT",
    "METADATA",
    "GatheringState",
    "NoSuchOutput",
    "Output",
    "OutputRefused",
    "OutputSettings",
    "OutputState",
    "add_output",
    "change_output",
    "end_gathering",
    "ensure_main_output",
    "every_output",
    "find_output",
    "held_output",
    "hold_alone",
    "list_outputs",
    "mark_full",
    "outputs_ending",
    "outputs_of",
    "pause_output",
    "remove_output",
    "resume_output",
]
