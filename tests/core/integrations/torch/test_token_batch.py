"""What a batch tells of its tokens, against numbers counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steersman.integrations.torch.token_batch import MANY_DIMS, MEDIA, NO_IDS, NO_LABELS, Told, told

IDS = torch.tensor([[11, 12, 13, 0], [14, 15, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
LABELS = torch.tensor([[11, 12, 13, -100], [-100, 15, -100, -100]])


def totals(found: Told) -> dict[str, int]:
    """Return each count of a batch, what is on the host and what is on a device together; those of 0 left out."""
    total = dict(found.known)
    for name, number in found.sums:
        total[name] = total.get(name, 0) + int(number)
    return {name: number for name, number in total.items() if number}


def counted(shifts_labels: bool = True, **batch: Any) -> dict[str, int]:
    return totals(told(batch, shifts_labels=shifts_labels))


@pytest.mark.parametrize(("shifts_labels", "loss_tokens"), [(True, 3), (False, 4)])
def test_padding_tokens_and_loss_are_told_apart(shifts_labels, loss_tokens):
    """Of 8 places 5 are tokens; of 4 labels a causal model leaves out the first of a row, here the 11."""
    found = counted(shifts_labels, input_ids=IDS, attention_mask=MASK, labels=LABELS)

    assert found == {"input_tokens": 8, "tokens": 5, "loss_tokens": loss_tokens, "samples": 2}


@pytest.mark.parametrize("mask", [MASK.bool(), MASK.float(), MASK.int(), torch.tensor([[1, 1, 2, 0], [1, 2, 0, 0]])])
def test_any_kind_of_mask_tells_five_tokens(mask):
    """A mask may be of truth values, of floats, or number the sequences packed into a row: what is not 0 counts."""
    assert counted(input_ids=IDS, attention_mask=mask, labels=LABELS)["tokens"] == 5


def test_a_mask_that_covers_what_was_cached_counts_the_places_of_the_batch():
    """Three places before the batch, in a cache, are seen by the mask and not trained on: 5 tokens."""
    longer = torch.cat([torch.ones(2, 3, dtype=MASK.dtype), MASK], dim=1)

    assert counted(input_ids=IDS, attention_mask=longer, labels=LABELS)["tokens"] == 5


def test_shifted_labels_count_as_they_are():
    """Labels that the caller has shifted, as sequence parallelism does, are not shifted again: 4 beside the 3."""
    assert counted(input_ids=IDS, attention_mask=MASK, labels=LABELS, shift_labels=LABELS)["loss_tokens"] == 4


@pytest.mark.parametrize(
    ("labels", "examples"),
    [(torch.tensor([1, 0]), 2), (torch.tensor([1, -100]), 1), (torch.tensor([0.5, -100.0]), 2), (torch.rand(2, 7), 2)],
)
def test_labels_of_examples_count_examples(labels, examples):
    """One label for each of two rows counts 2, or 1 where -100 takes one out; numbers to regress on count rows."""
    assert counted(input_ids=IDS, attention_mask=MASK, labels=labels)["loss_tokens"] == examples


@pytest.mark.parametrize(("keeps", "loss_tokens"), [(3, 1), (4, 3), (0, 3), (100, 3), (1, 0)])
def test_kept_logits_tell_what_was_predicted(keeps, loss_tokens):
    """The last 3 of 4 logits predict the last 2 places, of which one is no padding; 0 keeps all; labels go before."""
    found = told({"input_ids": IDS, "attention_mask": MASK, "logits_to_keep": keeps}, shifts_labels=True)
    labelled = counted(input_ids=IDS, attention_mask=MASK, logits_to_keep=keeps, labels=LABELS)

    assert (totals(found).get("loss_tokens", 0), found.notes) == (loss_tokens, [])
    assert labelled["loss_tokens"] == 3


@pytest.mark.parametrize("batch", [{}, {"logits_to_keep": torch.tensor([1, 2])}, {"labels": [{"boxes": 1}]}])
def test_what_bears_loss_is_unknown_without_labels(batch):
    """Tokens are counted, those with loss are not, and a sentence says so."""
    found = told({"input_ids": IDS, "attention_mask": MASK, **batch}, shifts_labels=True)

    assert totals(found) == {"input_tokens": 8, "tokens": 5, "samples": 2}
    assert found.notes == [NO_LABELS]


@pytest.mark.parametrize(
    ("more", "samples"),
    [
        ({"position_ids": torch.tensor([[0, 1, 2, 0, 1, 0, 0, 1]])}, 4),
        ({"position_ids": torch.tensor([[2, 3, 4, 5, 2, 3, 4, 2]])}, 3),
        ({"cu_seq_lens_q": torch.tensor([0, 3, 5, 8])}, 3),
        ({"position_ids": torch.zeros(3, 1, 8)}, 1),
        ({}, 1),
    ],
)
def test_a_row_may_hold_many_sequences(more, samples):
    """Without a mask a sequence begins where positions do not rise; bounds say it too; else a row is a sequence."""
    ids = torch.arange(8).view(1, 8)

    found = counted(input_ids=ids, labels=torch.tensor([[-100, 1, 2, -100, 4, -100, -100, 7]]), **more)

    assert found == {"input_tokens": 8, "tokens": 8, "loss_tokens": 4, "samples": samples}


def test_rows_of_packing_count_each_their_sequences():
    """Two rows of 4 places hold 2 + 1 sequences; a flat batch of one dimension holds 2."""
    rows = counted(input_ids=IDS, labels=LABELS, position_ids=torch.tensor([[0, 1, 0, 1], [0, 1, 2, 3]]))
    flat = counted(input_ids=IDS.flatten(), labels=LABELS.flatten(), position_ids=torch.tensor([0, 1, 2, 3] * 2))

    assert (rows["samples"], rows["tokens"]) == (3, 8)
    assert (flat["samples"], flat["tokens"]) == (2, 8)


def test_embeddings_tell_what_ids_would():
    """Two rows of four vectors are 8 places, of which a mask takes 3 away; without a mask all are tokens."""
    vectors = torch.zeros(2, 4, 6)

    masked = counted(inputs_embeds=vectors, attention_mask=MASK, labels=LABELS, input_ids=None)
    whole = counted(inputs_embeds=vectors, labels=LABELS)

    assert masked == {"input_tokens": 8, "tokens": 5, "loss_tokens": 3, "samples": 2}
    assert whole == {"input_tokens": 8, "tokens": 8, "loss_tokens": 3, "samples": 2}


@pytest.mark.parametrize(
    ("batch", "rows"), [({"pixel_values": torch.zeros(3, 1, 2, 2)}, 3), ({"scale": 1.0}, 0), ({}, 0)]
)
def test_without_ids_only_samples_are_known(batch, rows):
    """A batch of three images is three samples whose tokens are unknown, and a sentence says so."""
    found = told({**batch, "labels": None}, shifts_labels=False)

    assert found.known == {"samples": rows, "unknown": 1}
    assert (found.sums, found.notes) == ([], [NO_IDS])


def test_images_count_by_their_places():
    """Pixels beside ids add nothing to the 5 tokens, and a sentence says so."""
    found = told(
        {"input_ids": IDS, "attention_mask": MASK, "labels": LABELS, "pixel_values": torch.zeros(2, 3, 8, 8)},
        shifts_labels=True,
    )

    assert totals(found) == {"input_tokens": 8, "tokens": 5, "loss_tokens": 3, "samples": 2}
    assert found.notes == [MEDIA]


def test_a_mask_of_four_dimensions_is_no_padding():
    """Who may look at whom does not tell padding: all 8 places count, and a sentence says so."""
    found = told({"input_ids": IDS, "attention_mask": torch.ones(2, 1, 4, 4), "labels": LABELS}, shifts_labels=True)

    assert totals(found) == {"input_tokens": 8, "tokens": 8, "loss_tokens": 3, "samples": 2}
    assert found.notes == [MANY_DIMS]


def test_nothing_is_read_from_the_device():
    """On the meta device, where a tensor has no values to read, every branch runs; reading one sum raises."""
    ids, mask = IDS.to("meta"), MASK.to("meta")
    positions = ids.clone()
    batches = [
        {"input_ids": ids, "attention_mask": mask, "labels": ids, "pixel_values": ids},
        {"input_ids": ids, "position_ids": positions, "shift_labels": ids},
        {"input_ids": ids, "attention_mask": mask, "logits_to_keep": 2},
        {"inputs_embeds": ids, "cu_seq_lens_q": positions, "labels": ids[0]},
        {"pixel_values": ids},
    ]

    found = [told(batch, shifts_labels=True) for batch in batches]

    assert [len(one.sums) for one in found] == [2, 2, 2, 1, 0]
    with pytest.raises(RuntimeError):
        int(found[0].sums[0][1])
