-- What a family of problems does to the model beside random mixtures: distance, interval, q and verdict.
-- grain: study, arm. Distances in spreads of random mixtures, at equal training tokens; steps_* at equal steps.
-- p_value, q_value and verdict are those of the claim family:ARM, which rests on both ways of matching; tokens_p and
-- steps_p are of one way each. The planted arm (positive control) and the mixtures (held against each other; none of
-- these claims is about one) stand beside the families. Arms that could not be tested have null figures. All figures
-- made in Python.
with tokens as (
    select
        study, arm, role, distance, ci_lo, ci_hi, p_value, control, control_difference, control_ci_lo, control_ci_hi,
        n_seeds
    from probe_tests
    where matched = 'tokens'
),
steps as (
    select study, arm, distance, ci_lo, ci_hi, p_value
    from probe_tests
    where matched = 'steps'
),
judged as (
    select study, arm, claim, p_value, q_value, verdict, reasons
    from claims
    where starts_with(claim, 'family:')
),
arms as (
    select study, arm from probe_tests
    union
    select study, arm from judged
)
select
    arms.study,
    arms.arm,
    tokens.role,
    tokens.distance,
    tokens.ci_lo,
    tokens.ci_hi,
    tokens.p_value as tokens_p,
    tokens.control,
    tokens.control_difference,
    tokens.control_ci_lo,
    tokens.control_ci_hi,
    tokens.n_seeds,
    steps.distance as steps_distance,
    steps.ci_lo as steps_ci_lo,
    steps.ci_hi as steps_ci_hi,
    steps.p_value as steps_p,
    judged.claim,
    judged.p_value,
    judged.q_value,
    judged.verdict,
    judged.reasons
from arms
left join tokens on tokens.study = arms.study and tokens.arm = arms.arm
left join steps on steps.study = arms.study and steps.arm = arms.arm
left join judged on judged.study = arms.study and judged.arm = arms.arm
order by
    arms.study,
    case tokens.role when 'planted' then 1 when 'placebo' then 2 when 'baseline' then 3 else 0 end,
    judged.q_value nulls last,
    tokens.distance desc nulls last,
    arms.arm
