"""What LongLive's golden files say is read: the formula of a trajectory and the entry of a checkpoint."""

TRAJECTORY = "longlive/ll2/unipc_4step.json"


def test_trajectory_follows_the_formula_of_the_file(parity_of):
    same = "v(x,t) = tanh(x)/1 + sin(t/1000 + x*3) * 0.3"
    assert parity_of(TRAJECTORY, lambda data: data.update(velocity_formula=same))[0] == {"ok"}


def test_another_formula_fails_against_the_trajectory(parity_of):
    other = "v(x,t) = tanh(x) + 0.3*sin(2*x + t/1000)"
    outcomes, printed = parity_of(TRAJECTORY, lambda data: data.update(velocity_formula=other))
    assert outcomes == {"failed"}
    assert "worst formula x" in printed


def test_a_formula_that_is_no_arithmetic_fails(parity_of):
    outcomes, printed = parity_of(TRAJECTORY, lambda data: data.update(velocity_formula="v(x,t) = exp(x)"))
    assert outcomes == {"failed"}
    assert "'exp(x)'" in printed
