-- How often each run drew each item it drew at all, and when first and last.
-- grain: study, arm, seed, item_id. A draw is one place in one batch; steps in optimiser steps, the first batch is 0.
-- family_id is the true family, also where the curriculum goes by shuffled labels.
select
    study,
    arm,
    seed,
    run_id,
    item_id,
    min(content_sha256) as content_sha256,
    min(family_id) as family_id,
    bool_or(planted) as planted,
    count(*) as num_draws,
    min(step) as first_step,
    max(step) as last_step
from sample_trace
group by study, arm, seed, run_id, item_id
order by study, arm, seed, item_id
