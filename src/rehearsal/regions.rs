//! AWS's regions, by partition: a name may look like a region's and be none.

/// The partitions and their regions (the table of endpoints that the SDKs bring, 2026-11).
const PARTITIONS: [(&str, &[&str]); 8] = [
    (
        "aws",
        &[
            "af-south-1",
            "ap-east-1",
            "ap-east-2",
            "ap-northeast-1",
            "ap-northeast-2",
            "ap-northeast-3",
            "ap-south-1",
            "ap-south-2",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-3",
            "ap-southeast-4",
            "ap-southeast-5",
            "ap-southeast-6",
            "ap-southeast-7",
            "ca-central-1",
            "ca-west-1",
            "eu-central-1",
            "eu-central-2",
            "eu-north-1",
            "eu-south-1",
            "eu-south-2",
            "eu-west-1",
            "eu-west-2",
            "eu-west-3",
            "il-central-1",
            "me-central-1",
            "me-south-1",
            "mx-central-1",
            "sa-east-1",
            "us-east-1",
            "us-east-2",
            "us-west-1",
            "us-west-2",
        ],
    ),
    ("aws-cn", &["cn-north-1", "cn-northwest-1"]),
    ("aws-eusc", &["eusc-de-east-1"]),
    ("aws-iso", &["us-iso-east-1", "us-iso-west-1"]),
    ("aws-iso-b", &["us-isob-east-1", "us-isob-west-1"]),
    ("aws-iso-e", &["eu-isoe-west-1"]),
    ("aws-iso-f", &["us-isof-east-1", "us-isof-south-1"]),
    ("aws-us-gov", &["us-gov-east-1", "us-gov-west-1"]),
];

/// Says whether a partition has a region.
pub(crate) fn exists(partition: &str, region: &str) -> bool {
    PARTITIONS.iter().any(|(own, regions)| *own == partition && regions.contains(&region))
}

/// Says whether there is such a partition.
pub(crate) fn is_partition(name: &str) -> bool {
    PARTITIONS.iter().any(|(own, _)| *own == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::BucketLocationConstraint;

    #[test]
    fn every_region_that_the_sdk_knows_is_there() {
        // `EU` is an old name of one of them.
        for region in BucketLocationConstraint::values().iter().filter(|region| **region != "EU") {
            assert!(PARTITIONS.iter().any(|(_, regions)| regions.contains(region)), "{region}");
        }
        assert!(exists("aws", "us-east-1") && !exists("aws", "cn-north-1") && !exists("aws", "xx-east-1"));
        assert!(is_partition("aws-us-gov") && !is_partition("foo"));
    }
}
