# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.sim.sky.surveys import SURVEYS, Campaign

CAMPAIGNS = 150


def _campaigns(name: str) -> list[Campaign]:
    return [SURVEYS[name](np.random.default_rng(seed)) for seed in range(CAMPAIGNS)]


@pytest.mark.parametrize("name", SURVEYS)
def test_visits_end_at_the_last_and_have_a_depth(name: str) -> None:
    for campaign in _campaigns(name):
        assert len(campaign.days) == len(campaign.band) == len(campaign.sky_njy) > 0
        assert campaign.days[-1] == 0
        assert (np.diff(campaign.days) >= 0).all()
        assert (campaign.sky_njy > 0).all()
        assert campaign.band.dtype == np.uint8


def _bands(campaign: Campaign) -> set[str]:
    return {NAMES[code] for code in campaign.band}


def test_ztf_looks_in_green_and_red_and_sometimes_in_the_infrared() -> None:
    campaigns = _campaigns("ztf")
    assert set().union(*map(_bands, campaigns)) == {"ztf_g", "ztf_r", "ztf_i"}
    assert 0.05 < np.mean(["ztf_i" in _bands(campaign) for campaign in campaigns]) < 0.4
    limits = np.concatenate([31.4 - 2.5 * np.log10(5 * campaign.sky_njy) for campaign in campaigns])
    assert np.percentile(limits, [5, 50, 95]) == pytest.approx([18.7, 20.0, 20.8], abs=0.5)


def test_most_alerts_of_ztf_have_a_month_of_history() -> None:
    campaigns = _campaigns("ztf")
    spans = -np.array([campaign.days[0] for campaign in campaigns])
    assert 0.4 < np.mean(spans < 31) < 0.8
    assert spans.max() > 300
    assert {campaign.history for campaign in campaigns} == {"limits", "forced", "detections"}


def test_the_public_survey_comes_every_few_nights() -> None:
    gaps = []
    for campaign in _campaigns("ztf"):
        nights = np.unique(np.floor(campaign.days[campaign.band == campaign.band[-1]]))
        gaps.extend(np.diff(nights))
    assert 1 <= np.median(gaps) <= 4
    assert max(gaps) > 60  # seasons


def test_some_nights_are_watched_without_a_break() -> None:
    watched = [np.sum(np.diff(campaign.days) < 6 / 1440) > 10 for campaign in _campaigns("ztf")]
    assert 0.01 < np.mean(watched) < 0.25


def test_lsst_is_deep_sparse_in_each_band_and_looks_twice_a_night() -> None:
    campaigns = _campaigns("lsst")
    assert len(set().union(*map(_bands, campaigns))) == 6
    red = np.concatenate([campaign.sky_njy[campaign.band == NAMES.index("lsst_r")] for campaign in campaigns])
    assert 31.4 - 2.5 * np.log10(5 * np.median(red)) == pytest.approx(24.3, abs=0.5)
    hours = np.concatenate([np.diff(campaign.days) * 24 for campaign in campaigns])
    assert np.mean((hours > 0.3) & (hours < 0.8)) > 0.1


def test_catalogues_have_all_systems_one_to_five_bands_and_all_depths() -> None:
    campaigns = _campaigns("catalogue")
    systems = {name.split("_")[0] for campaign in campaigns for name in _bands(campaign)}
    assert systems == {"sdss", "ps1", "bessell", "ztf", "lsst", "gaia"}
    counts = np.array([len(_bands(campaign)) for campaign in campaigns])
    assert set(counts) >= {1, 2, 3, 5}
    assert 0.35 < np.mean(counts == 2) < 0.75
    faintest = [campaign.faintest_mag for campaign in campaigns]
    assert min(faintest) < 16.5
    assert max(faintest) > 23.5
    assert np.mean([campaign.history == "detections" for campaign in campaigns]) > 0.7
