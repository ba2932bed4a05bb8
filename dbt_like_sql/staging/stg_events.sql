-- Selected change points of single series, with the metric group of their consensus cell; composites are left out.
-- grain: study, arm, seed, event_id. Steps in optimiser steps; z in robust standard deviations of the baseline arm.
select
    study,
    arm,
    seed,
    run_id,
    event_id,
    probe_set,
    component,
    layer,
    metric,
    case
        when metric in ('effective_rank', 'sv_entropy', 'topk_mass_k8') then 'spectral'
        when metric = 'sparsity_proxy' then 'sparsity'
        when metric = 'principal_angle' then 'angle'
    end as metric_group,
    step,
    is_pre_warmup,
    polarity,
    robust_z,
    score
from events
where event_type = 'change_point'
order by study, arm, seed, event_id
