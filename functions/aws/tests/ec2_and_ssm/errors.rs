//! What EC2's errors mean, and what is kept of them.

use std::error::Error;

use muster_control::ports::{Fleet, FleetError};

use super::stub::{Answer, Stub, ec2, error, instance, spec, xml};

/// The name of the error's variant, and the whole chain.
fn told(error: &FleetError) -> (&'static str, String) {
    let name = match error {
        FleetError::Throttled(_) => "throttled",
        FleetError::NoCapacity(_) => "no capacity",
        FleetError::Refused(_) => "refused",
        FleetError::Ended(_) => "ended",
        FleetError::Superseded => "superseded",
        FleetError::Unavailable(_) => "unavailable",
    };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    (name, text)
}

async fn launched_against(answer: Answer) -> (&'static str, String) {
    let stub = Stub::giving([answer]).await;
    let failure = stub.fleet().await.launch(&spec(), 1).await.expect_err("a failure");
    assert_eq!(stub.actions(), ["RunInstances"], "a launch is called once, whatever comes of it: {failure:?}");
    told(&failure)
}

#[tokio::test]
async fn each_code_means_what_a_caller_acts_on() {
    let cases = [
        (503, "RequestLimitExceeded", "throttled"),
        (400, "Throttling", "throttled"),
        (400, "ThrottlingException", "throttled"),
        (400, "EC2ThrottledException", "throttled"),
        // Lack of capacity is a server error, and nothing was done all the same.
        (500, "InsufficientInstanceCapacity", "no capacity"),
        (500, "InsufficientHostCapacity", "no capacity"),
        (500, "InsufficientReservedInstanceCapacity", "no capacity"),
        (400, "ReservationCapacityExceeded", "no capacity"),
        (400, "InsufficientFreeAddressesInSubnet", "no capacity"),
        (400, "InsufficientVolumeCapacity", "no capacity"),
        (400, "SpotMaxPriceTooLow", "no capacity"),
        (400, "MaxSpotInstanceCountExceeded", "no capacity"),
        (400, "Unsupported", "no capacity"),
        (400, "IdempotentInstanceTerminated", "ended"),
        (400, "IdempotentParameterMismatch", "refused"),
        (403, "UnauthorizedOperation", "refused"),
        (401, "AuthFailure", "refused"),
        (403, "OptInRequired", "refused"),
        (403, "PendingVerification", "refused"),
        (400, "InvalidAMIID.NotFound", "refused"),
        (400, "InvalidLaunchTemplateId.VersionNotFound", "refused"),
        (400, "InvalidParameterValue", "refused"),
        (400, "MissingParameter", "refused"),
        (400, "InstanceLimitExceeded", "refused"),
        (400, "VcpuLimitExceeded", "refused"),
        (400, "ACodeThatIsNewToUs", "refused"),
        // These pass by themselves, and say nothing of the launch.
        (400, "RequestExpired", "unavailable"),
        (400, "ExpiredToken", "unavailable"),
        (500, "InternalError", "unavailable"),
        (500, "InternalFailure", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (503, "Unavailable", "unavailable"),
        (500, "ACodeThatIsNewToUs", "unavailable"),
    ];
    for (status, code, meaning) in cases {
        let (name, text) = launched_against(error(status, code, "Because of that.")).await;
        assert_eq!(name, meaning, "{status} {code}");
        assert!(text.contains(&format!("RunInstances failed with {code}: Because of that.")), "{text}");
        assert!(text.contains("ea966190-f9aa-478e-9ede-example"), "the request's id is kept: {text}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_no_refusal_it_may_have_happened() {
    let page = "<html><body><h1>403 Forbidden</h1></body></html>";
    let good =
        xml("RunInstances", &format!("<instancesSet>{}</instancesSet>", instance("i-1", "pending", "10.0.0.1", &[])));
    let half = good[..good.len() / 2].to_owned();
    let Answer::Whole(_, refusal) = error(403, "UnauthorizedOperation", "No.") else { panic!("whole") };
    let cases = [
        Answer::Whole(403, page.into()),
        Answer::Whole(200, page.into()),
        Answer::Whole(200, String::new()),
        Answer::Whole(400, String::new()),
        Answer::Whole(502, "Bad gateway".into()),
        Answer::Whole(200, half.clone()),
        Answer::Torn(200, half.clone()),
        Answer::CutOff(200, half),
        Answer::Torn(403, refusal[..refusal.len() / 2].to_owned()),
        Answer::CutOff(403, refusal[..refusal.len() / 3].to_owned()),
        ec2("RunInstances", "<instancesSet/>"),
        ec2("RunInstances", "<instancesSet><item><imageId>ami-1</imageId></item></instancesSet>"),
    ];
    for answer in cases {
        let kept = format!("{answer:?}");
        let stub = Stub::giving([answer]).await;
        let failure = stub.fleet().await.launch(&spec(), 1).await.expect_err("no launch");
        assert_eq!(told(&failure).0, "unavailable", "{kept}: {failure:?}");
        let runs = stub.actions().iter().filter(|action| *action == "RunInstances").count();
        assert_eq!(runs, 1, "a launch is called once: {kept}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_ec2s_words_and_not_its_blob() {
    let message = format!(
        "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/muster is not \
         authorized to perform: ec2:RunInstances. Encoded authorization failure message: {}",
        "4Bx0".repeat(500)
    );
    let (name, text) = launched_against(error(403, "UnauthorizedOperation", &message)).await;
    assert_eq!(name, "refused");
    assert!(text.contains("is not authorized to perform: ec2:RunInstances."), "{text}");
    assert!(!text.contains("4Bx0") && !text.contains("Encoded"), "{text}");
    assert!(text.len() < 400, "{text}");
}

#[tokio::test]
async fn a_flood_of_words_is_cut() {
    let (_, text) = launched_against(error(400, "InvalidParameterValue", &"x".repeat(100_000))).await;
    assert!(text.len() < 1_000, "{} bytes", text.len());
}

#[tokio::test]
async fn a_read_is_repeated_and_a_definite_refusal_is_not() {
    let busy = || error(503, "Unavailable", "Busy.");
    let template = "<launchTemplates><item><defaultVersionNumber>4</defaultVersionNumber></item></launchTemplates>";
    let stub = Stub::giving([busy(), ec2("DescribeLaunchTemplates", template)]).await;
    assert_eq!(stub.fleet().await.template_version("web").await.expect("the second answer"), 4);
    assert_eq!(stub.actions().len(), 2);
    let stub = Stub::giving([error(400, "InvalidLaunchTemplateName.NotFoundException", "None.")]).await;
    let refused = stub.fleet().await.template_version("web").await;
    assert!(matches!(refused, Err(FleetError::Refused(_))), "{refused:?}");
    assert_eq!(stub.actions().len(), 1);
}
