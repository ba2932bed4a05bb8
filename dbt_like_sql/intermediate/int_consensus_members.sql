-- Which event of which run stands behind each consensus event.
-- grain: study, consensus_event_id, seed. Steps in optimiser steps; z in envelopes of the series, as the test used it.
with members as (
    select
        study,
        arm,
        probe_set,
        consensus_event_id,
        band,
        metric_group,
        polarity,
        median_step,
        q_value,
        unnest(json_keys(constituents)) as member,
        unnest(json_extract(constituents, '$.*')) as event
    from consensus_events
)
select
    study,
    arm,
    probe_set,
    consensus_event_id,
    cast(member as bigint) as seed,
    band,
    metric_group,
    polarity,
    median_step,
    q_value,
    json_extract_string(event, '$.event_id') as event_id,
    cast(json_extract_string(event, '$.step') as bigint) as step,
    cast(json_extract_string(event, '$.layer') as bigint) as layer,
    json_extract_string(event, '$.metric') as metric,
    cast(json_extract_string(event, '$.z') as double) as z
from members
order by study, consensus_event_id, seed
