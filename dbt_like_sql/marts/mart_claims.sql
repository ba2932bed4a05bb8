-- What the studies say: every claim with its null, control, interval and verdict, the best supported ones first.
-- grain: study, analysis_id, claim. Ordered by study, then supported, exploratory, not supported, underpowered, then by
-- q_value. estimate, interval, null_mean and control_difference are in the claim's own unit. All made in Python.
select
    study,
    claim,
    verdict,
    arm,
    contrast,
    hypothesis,
    estimate,
    ci_lo,
    ci_hi,
    unit,
    null_mean,
    p_value,
    q_value,
    n_seeds,
    n_items,
    control,
    control_difference,
    control_ci_lo,
    control_ci_hi,
    preregistered,
    scale,
    method,
    reasons,
    evidence,
    analysis_id
from claims
order by
    study,
    case verdict when 'supported' then 0 when 'exploratory' then 1 when 'not supported' then 2 else 3 end,
    q_value nulls last,
    claim,
    analysis_id
