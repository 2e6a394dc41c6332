using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Cache.Remote;

/// <summary>A bucket in memory that answers as S3 does, and looks at each signature and each body by itself.</summary>
internal sealed partial class TestS3
{
    public const string Id = "AKIDOFTHETEST";
    public const string Secret = "secret/of+the test";

    private readonly ConcurrentDictionary<string, SortedDictionary<int, byte[]>> _uploads = new();
    private int _lastUpload;

    public ConcurrentDictionary<string, (byte[] Body, DateTimeOffset Modified)> Objects { get; } = new();

    /// <summary>Method and path with query, in their order.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    /// <summary>How far its clock is ahead.</summary>
    public TimeSpan Ahead { get; set; }

    public Dictionary<string, string> Credentials { get; } = new() { [Id] = Secret };

    public static Dictionary<string, string> Variables { get; } = new() { ["AWS_ACCESS_KEY_ID"] = Id, ["AWS_SECRET_ACCESS_KEY"] = Secret };

    public int OpenUploads => _uploads.Count;

    public byte[]? this[byte[] body] => Objects.TryGetValue(KeyOf(body), out var found) ? found.Body : null;

    public static string KeyOf(byte[] body) => $"/bucket/some/prefix/sha256/{TemporaryCache.HexOf(body)[..2]}/{TemporaryCache.HexOf(body)}";

    public static RemoteOptions Options(string endpoint) => new() { S3 = new S3Options { Endpoint = new Uri(endpoint), Bucket = "bucket", Prefix = "some/prefix", Region = "eu-test-1" } };

    public void Put(byte[] body, byte[]? stored = null, TimeSpan age = default) => Objects[KeyOf(body)] = (stored ?? body, DateTimeOffset.UtcNow - age);

    public async Task AnswerAsync(HttpContext context)
    {
        var request = context.Request;
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        Asked.Enqueue($"{request.Method} {target}");
        using var memory = new MemoryStream();
        await request.Body.CopyToAsync(memory);
        var body = memory.ToArray();
        context.Response.Headers.Date = (DateTimeOffset.UtcNow + Ahead).ToString("R", CultureInfo.InvariantCulture);
        if (Refusal(request, target, body) is { } refusal)
        {
            await ErrorAsync(context, refusal.Status, refusal.Code);
            return;
        }

        var key = request.Path.Value!;
        switch (request.Method, request.Query.ContainsKey("uploads"), request.Query["uploadId"].FirstOrDefault())
        {
            case ("POST", true, null):
                var id = $"up load/{Interlocked.Increment(ref _lastUpload)}&";
                _uploads[id] = [];
                await context.Response.WriteAsync($"<?xml version=\"1.0\"?><InitiateMultipartUploadResult xmlns=\"x\"><UploadId>{id.Replace("&", "&amp;", StringComparison.Ordinal)}</UploadId></InitiateMultipartUploadResult>");
                break;
            case ("PUT", false, { } upload):
                lock (_uploads[upload])
                    _uploads[upload][int.Parse(request.Query["partNumber"]!, CultureInfo.InvariantCulture)] = body;
                context.Response.Headers.ETag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body))}\"";
                break;
            case ("POST", false, { } upload):
                await CompleteAsync(context, key, upload, Encoding.UTF8.GetString(body));
                break;
            case ("DELETE", false, { } upload):
                _uploads.TryRemove(upload, out _);
                context.Response.StatusCode = 204;
                break;
            case ("PUT", false, null) when request.Headers["x-amz-copy-source"].FirstOrDefault() is { } source:
                Assert.Equal("REPLACE", request.Headers["x-amz-metadata-directive"]);
                Objects[key] = (Objects[source].Body, DateTimeOffset.UtcNow);
                await context.Response.WriteAsync("<?xml version=\"1.0\"?>\n<CopyObjectResult><ETag>x</ETag></CopyObjectResult>");
                break;
            case ("PUT", false, null):
                Objects[key] = (body, DateTimeOffset.UtcNow);
                break;
            case ("GET" or "HEAD", false, null) when Objects.TryGetValue(key, out var found):
                context.Response.ContentLength = found.Body.Length;
                context.Response.Headers.LastModified = found.Modified.ToString("R", CultureInfo.InvariantCulture);
                if (request.Method == "GET")
                    await context.Response.Body.WriteAsync(found.Body);
                break;
            default:
                await ErrorAsync(context, 404, "NoSuchKey");
                break;
        }
    }

    public static async Task ErrorAsync(HttpContext context, int status, string code)
    {
        context.Response.StatusCode = status;
        if (context.Request.Method != "HEAD")
            await context.Response.WriteAsync($"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{Secret}</Message></Error>");
    }

    private async Task CompleteAsync(HttpContext context, string key, string upload, string text)
    {
        var parts = _uploads[upload];
        var named = PartPattern().Matches(text).Select(m => (Number: int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture), Tag: System.Net.WebUtility.HtmlDecode(m.Groups[2].Value))).ToList();
        if (!named.Select(p => p.Number).SequenceEqual(parts.Keys) || named.Exists(p => p.Tag != $"\"{Convert.ToHexStringLower(SHA256.HashData(parts[p.Number]))}\""))
        {
            await ErrorAsync(context, 400, "InvalidPart");
            return;
        }

        _uploads.TryRemove(upload, out _);
        Objects[key] = ([.. parts.Values.SelectMany(part => part)], DateTimeOffset.UtcNow);
        await context.Response.WriteAsync("<?xml version=\"1.0\"?>\n\n<CompleteMultipartUploadResult xmlns=\"x\"><ETag>x</ETag></CompleteMultipartUploadResult>");
    }

    // AWS Signature Version 4 as the documents say it, from what arrived.
    private (int Status, string Code)? Refusal(HttpRequest request, string target, byte[] body)
    {
        var match = AuthorizationPattern().Match(request.Headers.Authorization.ToString());
        if (!match.Success || !Credentials.TryGetValue(match.Groups["id"].Value, out var secret))
            return (403, "InvalidAccessKeyId");
        string date = request.Headers["x-amz-date"]!, payload = request.Headers["x-amz-content-sha256"]!;
        var at = DateTimeOffset.ParseExact(date, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        if ((at - (DateTimeOffset.UtcNow + Ahead)).Duration() > TimeSpan.FromMinutes(15))
            return (403, "RequestTimeTooSkewed");
        if (payload != Convert.ToHexStringLower(SHA256.HashData(body)))
            return (400, "XAmzContentSHA256Mismatch");
        var names = match.Groups["names"].Value.Split(';');
        if (request.Headers.Keys.Select(k => k.ToLowerInvariant()).Any(k => k.StartsWith("x-amz-", StringComparison.Ordinal) && !names.Contains(k)) || !names.Contains("host"))
            return (403, "AccessDenied");
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var query = question < 0 ? "" : string.Join('&', target[(question + 1)..].Split('&').Select(p => p.Contains('=', StringComparison.Ordinal) ? p : p + "=").Order(StringComparer.Ordinal));
        var canonical = $"{request.Method}\n{(question < 0 ? target : target[..question])}\n{query}\n{string.Concat(names.Select(n => $"{n}:{request.Headers[n]}\n"))}\n{string.Join(';', names)}\n{payload}";
        var scope = match.Groups["scope"].Value;
        Assert.Matches("^[0-9]{8}/eu-test-1/s3/aws4_request$", scope);
        var key = Encoding.UTF8.GetBytes("AWS4" + secret);
        foreach (var part in scope.Split('/'))
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        var wanted = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"AWS4-HMAC-SHA256\n{date}\n{scope}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}"));
        return Convert.ToHexStringLower(wanted) == match.Groups["signature"].Value ? null : (403, "SignatureDoesNotMatch");
    }

    [GeneratedRegex("^AWS4-HMAC-SHA256 Credential=(?<id>[^/]+)/(?<scope>[^,]+), SignedHeaders=(?<names>[^,]+), Signature=(?<signature>[0-9a-f]{64})$")]
    private static partial Regex AuthorizationPattern();

    [GeneratedRegex("<Part><PartNumber>([0-9]+)</PartNumber><ETag>([^<]+)</ETag></Part>")]
    private static partial Regex PartPattern();
}
