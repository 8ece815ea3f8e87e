//! Calls and the control API over the wire.

use std::time::{Duration, Instant};

use muster_fake_ec2::Config;
use serde_json::json;

use super::{Outcome, PATIENCE, fake, form, launch, post, prompt, start};

#[tokio::test]
async fn a_call_is_answered_in_ec2s_way() -> Outcome {
    let (running, client) = start(Config { settings: prompt(), ..Config::default() }).await?;
    for request in [
        client.post(running.url()).body(form("DescribeInstances", &[])),
        client.get(format!("{}/?{}", running.url(), form("DescribeInstances", &[]))),
    ] {
        let response = request.send().await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/xml;charset=UTF-8");
        let request = response.headers()["x-amzn-requestid"].to_str()?.to_owned();
        let text = response.text().await?;
        assert!(
            text.contains("<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"),
            "{text}"
        );
        assert!(text.contains(&format!("<requestId>{request}</requestId>")), "{text}");
    }
    let (status, text) = post(&client, &running.url(), form("LaunchRockets", &[])).await?;
    assert_eq!(status, 400);
    assert!(text.contains("<Response><Errors><Error><Code>InvalidAction</Code>"), "{text}");
    Ok(())
}

#[tokio::test]
async fn rules_come_and_go() -> Outcome {
    let (running, client) = start(Config { settings: prompt(), ..Config::default() }).await?;
    let rules = json!([
        { "action": "RunInstances", "code": "InsufficientInstanceCapacity", "when": { "zone": "us-east-1a" } },
        { "action": "RunInstances", "code": "RequestLimitExceeded", "times": 1 },
    ]);
    assert_eq!(fake(&client, &running, "rules", rules).await?, json!({ "ids": [1, 2] }));
    assert_eq!(post(&client, &running.url(), launch()).await?.0, 503);
    let (status, text) = post(&client, &running.url(), launch()).await?;
    assert_eq!(status, 200);
    assert!(text.contains("<availabilityZone>us-east-1b</availabilityZone>"), "{text}");
    let url = format!("{}/_fake/rules", running.url());
    assert_eq!(client.delete(format!("{url}/1")).send().await?.status(), 200);
    assert_eq!(client.delete(format!("{url}/1")).send().await?.status(), 404);
    let (_, text) = post(&client, &running.url(), launch()).await?;
    assert!(text.contains("<availabilityZone>us-east-1a</availabilityZone>"), "{text}");
    fake(&client, &running, "rules", json!({ "code": "InternalError" })).await?;
    assert_eq!(post(&client, &running.url(), launch()).await?.0, 500);
    assert_eq!(client.delete(&url).send().await?.status(), 200);
    assert_eq!(post(&client, &running.url(), launch()).await?.0, 200);
    Ok(())
}

/// Before the deed or after it, the client hears nothing at all.
#[tokio::test]
async fn a_lost_answer_closes_the_connection() -> Outcome {
    for after in [false, true] {
        let (running, client) = start(Config { settings: prompt(), ..Config::default() }).await?;
        // On a kept connection, too.
        post(&client, &running.url(), form("DescribeInstances", &[])).await?;
        fake(&client, &running, "rules", json!({ "no_answer": true, "after": after, "times": 1 })).await?;
        let lost = post(&client, &running.url(), launch()).await;
        assert!(lost.is_err_and(|error| error.is_request()), "no answer, whatever its status");
        let ledger = running.ec2.ledger();
        assert_eq!(ledger.instances.len(), usize::from(after));
        assert_eq!(ledger.calls_total, 2, "nobody has sent it again");
        assert_eq!(post(&client, &running.url(), launch()).await?.0, 200);
    }
    Ok(())
}

/// The caller gives up while its call is on its way; the deed is done all the same.
#[tokio::test]
async fn a_late_call_is_done_though_nobody_waits_for_it() -> Outcome {
    let (running, client) = start(Config { settings: prompt(), ..Config::default() }).await?;
    fake(&client, &running, "rules", json!({ "action": "RunInstances", "latency_ms": 300 })).await?;
    let hasty = client.post(running.url()).timeout(Duration::from_millis(10)).body(launch()).send().await;
    assert!(hasty.is_err_and(|error| error.is_timeout()));
    let began = Instant::now();
    while running.ec2.ledger().instances.is_empty() {
        assert!(began.elapsed() < PATIENCE, "it is never done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn the_control_api_tells_and_does() -> Outcome {
    let (running, client) = start(Config { settings: prompt(), ..Config::default() }).await?;
    post(&client, &running.url(), launch()).await?;
    let url = format!("{}/_fake/ledger", running.url());
    let text = client.get(&url).send().await?.text().await?;
    let ledger: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(ledger["instances"][0]["state"], "running");
    assert_eq!(ledger["calls"][0]["action"], "RunInstances");
    let id = ledger["instances"][0]["id"].as_str().ok_or("no id")?.to_owned();
    fake(&client, &running, "demand", json!({ "demand": 150 })).await?;
    fake(&client, &running, "demand", json!({ "instance": id, "load": 12.5 })).await?;
    fake(&client, &running, &format!("instances/{id}"), json!({ "deed": "spot-take" })).await?;
    let settings = fake(&client, &running, "settings", json!({ "boot_ms": 7, "page_size": 3 })).await?;
    assert_eq!((&settings["boot_ms"], &settings["shutdown_ms"]), (&json!(7), &json!(0)));
    let ledger = running.ec2.ledger();
    assert_eq!((ledger.demand, ledger.instances[0].load), (150.0, Some(12.5)));
    assert_eq!(serde_json::to_value(&ledger.instances[0])?["ended_by"], "spot");
    fake(&client, &running, "reset", json!({})).await?;
    let ledger = running.ec2.ledger();
    assert_eq!((ledger.instances.len(), ledger.calls.len(), ledger.settings.page_size), (0, 0, 3));
    Ok(())
}

#[tokio::test]
async fn what_the_control_api_does_not_understand_is_refused() -> Outcome {
    let (running, client) = start(Config::default()).await?;
    let cases = [
        ("rules", "nonsense", 400),
        ("rules", r#"[{"colour":"red"}]"#, 400),
        ("rules", r#"[{"code":"X"},{"probability":2}]"#, 400),
        ("settings", r#"{"colour":"red"}"#, 400),
        ("settings", r#"{"boot_ms":-1}"#, 400),
        ("demand", r#"{"demand":"much"}"#, 400),
        ("demand", r#"{"instance":"i-0","load":1}"#, 404),
        ("instances/i-0", r#"{"deed":"terminate"}"#, 404),
        ("instances/i-0", r#"{"deed":"eat"}"#, 400),
        ("agents/i-0/kill", "", 404),
        ("agents/i-0/eat", "", 404),
        ("nothing", "", 404),
    ];
    for (path, body, expected) in cases {
        let (status, text) = post(&client, &format!("{}/_fake/{path}", running.url()), body).await?;
        assert_eq!(status, expected, "{path} {body}: {text}");
        assert!(serde_json::from_str::<serde_json::Value>(&text)?["error"].is_string(), "{text}");
    }
    assert!(running.ec2.ledger().rules.is_empty(), "all rules of a request or none");
    Ok(())
}

#[tokio::test]
async fn bodies_are_bounded() -> Outcome {
    let (running, client) = start(Config::default()).await?;
    let (status, _) = post(&client, &running.url(), vec![b'a'; (1 << 20) + 1]).await?;
    assert_eq!(status, 413);
    assert_eq!(running.ec2.ledger().calls_total, 0);
    Ok(())
}
