"""LogC3 at EI 800 against ARRI's published values, and the tone map against closed forms."""

import pytest
import torch

from oner.ltx.ltx2 import hdr


def test_known_points_of_the_curve():
    """ARRI: mid grey 0.18 is coded 400/1023, black 95/1023, at EI 800."""
    codes = hdr.linear_to_logc3(torch.tensor([0.18, 0.0], dtype=torch.float64)) * 1023
    assert codes.tolist() == pytest.approx([400, 95], abs=0.5)
    assert hdr.logc3_to_linear(torch.tensor(1.0)).item() == pytest.approx(55.08, abs=0.01)


def test_coding_and_decoding_cancel():
    linear = torch.cat([torch.linspace(-0.01, 0.02, 500), torch.logspace(-2, 3, 500)]).double()
    torch.testing.assert_close(hdr.logc3_to_linear(hdr.linear_to_logc3(linear)), linear, rtol=1e-12, atol=1e-14)
    code = torch.linspace(0, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(hdr.linear_to_logc3(hdr.logc3_to_linear(code)), code, rtol=0, atol=1e-6)


def test_the_two_branches_meet():
    cut = torch.tensor(hdr.E * hdr.CUT + hdr.F, dtype=torch.float64)
    below, above = hdr.logc3_to_linear(torch.stack([cut - 1e-9, cut + 1e-9]))
    assert below.item() == pytest.approx(hdr.CUT, abs=1e-7)
    assert above.item() == pytest.approx(hdr.CUT, abs=1e-6)


def test_light_is_never_negative_and_ends_at_ten_thousand():
    light = hdr.decode_hdr(torch.tensor([0.0, 0.05, 3.0]))
    assert light.tolist() == [0.0, 0.0, 10000.0]


def test_a_stop_doubles_the_light():
    assert hdr.expose(torch.tensor(0.18), 1.0).item() == pytest.approx(0.36)
    assert hdr.expose(torch.tensor(0.18), -2.0).item() == pytest.approx(0.045)


def test_the_tone_map_is_reinhard_then_srgb():
    assert hdr.tone_map(torch.tensor(0.0)).item() == 0
    assert hdr.tone_map(torch.tensor(1.0)).item() == pytest.approx(1.055 * 0.5 ** (1 / 2.4) - 0.055, abs=1e-6)
    assert 0.999 < hdr.tone_map(torch.tensor(1e4)).item() <= 1
    light = torch.logspace(-4, 4, 200)
    assert (hdr.tone_map(light).diff() > 0).all()
