namespace Discobot.Features.Cache.Policy;

public sealed class CountedQueryTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("?", "")]
    [InlineData("?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&X-Amz-Signature=d", "")]
    [InlineData("?x-amz-signature=d&response-content-type=a/b", "?response-content-type=a/b")]
    [InlineData("?X-Goog-Signature=1&generation=7", "?generation=7")]
    [InlineData("?se=1&sp=r&sv=2&sr=b&sig=x", "")]
    [InlineData("?comp=metadata&sv=1", "?comp=metadata")]
    [InlineData("?Expires=1&Signature=2&Key-Pair-Id=3", "")]
    [InlineData("?expires=1&signature=2&version=2", "?version=2")]
    [InlineData("?verify=1-2", "")]
    [InlineData("?tagging", "?tagging")]
    [InlineData("?X%2DAmz%2DSignature=1&acl", "?acl")]
    public void Where_the_path_names_its_content_what_only_signs_is_left_out(string query, string counted) =>
        Assert.Equal(counted, CountedQuery.Of(query, namesContent: true));

    [Theory]
    [InlineData("", "")]
    [InlineData("?", "?")]
    [InlineData("?a=1&b=2", "?a=1&b=2")]
    [InlineData("?se=1", "?se=sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")]
    [InlineData("?v=3&X-Amz-Date=1&X-Amz-Signature=2", "?v=3")]
    [InlineData("?sortKey=1", "?sortKey=sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")]
    public void Elsewhere_only_a_whole_signature_is_and_secrets_are_not_spelt_out(string query, string counted) =>
        Assert.Equal(counted, CountedQuery.Of(query, namesContent: false));
}
