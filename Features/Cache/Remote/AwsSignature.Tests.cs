namespace Discobot.Features.Cache.Remote;

/// <summary>The examples of Amazon's own documents, and of its suite for signatures.</summary>
public sealed class AwsSignatureTests
{
    private static readonly AwsCredentials Example = new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    private static readonly DateTimeOffset Day = new(2013, 5, 24, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("GET", "https://examplebucket.s3.amazonaws.com/test.txt", "Range: bytes=0-9", AwsSignature.EmptyPayload,
        "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
    [InlineData("PUT", "https://examplebucket.s3.amazonaws.com/test$file.text", "Date: Fri, 24 May 2013 00:00:00 GMT|x-amz-storage-class: REDUCED_REDUNDANCY",
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")]
    [InlineData("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", "", AwsSignature.EmptyPayload,
        "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [InlineData("GET", "https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2", "", AwsSignature.EmptyPayload,
        "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    public void Requests_to_S3_have_the_signatures_of_its_documents(string method, string address, string fields, string payload, string signed, string signature)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), address);
        foreach (var field in fields.Split('|', StringSplitOptions.RemoveEmptyEntries))
            request.Headers.TryAddWithoutValidation(field[..field.IndexOf(':', StringComparison.Ordinal)], field[(field.IndexOf(':', StringComparison.Ordinal) + 2)..]);
        AwsSignature.SignS3(request, Example, "us-east-1", payload, Day);
        Assert.Equal(
            $"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders={signed}, Signature={signature}",
            request.Headers.NonValidated["Authorization"].ToString());
    }

    [Theory]
    [InlineData("GET", "/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")]
    [InlineData("POST", "/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")]
    [InlineData("GET", "/?Param2=value2&Param1=value1", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")]
    public void Requests_to_others_have_those_of_its_suite(string method, string path, string token, string signature)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), $"https://example.amazonaws.com{path}");
        var credentials = new AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token.Length == 0 ? null : token);
        AwsSignature.Sign(request, credentials, "us-east-1/service", AwsSignature.EmptyPayload, new DateTimeOffset(2015, 8, 30, 12, 36, 0, TimeSpan.Zero));
        Assert.EndsWith($"SignedHeaders=host;x-amz-date, Signature={signature}", request.Headers.NonValidated["Authorization"].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_held_for_a_time_is_signed_with_its_token_and_nothing_shows_the_secret()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://store.example:9000/b/k");
        var credentials = new AwsCredentials("id", "the secret", "the token");
        AwsSignature.SignS3(request, credentials, "eu-central-1", AwsSignature.EmptyPayload, Day);
        Assert.Equal("the token", request.Headers.NonValidated["x-amz-security-token"].ToString());
        Assert.Contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,", request.Headers.NonValidated["Authorization"].ToString(), StringComparison.Ordinal);
        Assert.Equal("***", $"{credentials}");
        Assert.DoesNotContain("the secret", request.ToString(), StringComparison.Ordinal);
    }
}
