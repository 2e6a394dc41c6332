using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Cache.Remote;

/// <summary>The <c>cache.remote</c> section: a store beyond this machine that bodies are read from and uploaded to. The operator's; needs a restart.</summary>
internal sealed record RemoteOptions
{
    /// <summary>What the standard chain of credentials reads, and nobody but the proxy is to have.</summary>
    private static readonly string[] SecretVariables =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

    /// <summary>An S3-compatible store; null: none.</summary>
    public S3Options? S3 { get; init; }

    /// <summary>A store that takes GET, HEAD and PUT of <c>URL/HEX</c>; null: none.</summary>
    public Uri? Http { get; init; }

    /// <summary>The value of <c>Authorization</c> for <see cref="Http"/>.</summary>
    public SecretText? Authorization { get; init; }

    /// <summary>Bytes of bodies that may wait for their upload: 4 GiB. What comes beyond is not uploaded.</summary>
    public long Spool { get; init; } = 4L << 30;

    public bool IsOn => S3 is not null || Http is not null;

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static RemoteOptions Read(ConfigNode section, RemoteOptions fallback)
    {
        var (s3, http, authorization) = (section["s3"], section["http"], section["authorization"]);
        var options = new RemoteOptions
        {
            S3 = S3Options.Read(s3, fallback.S3),
            Http = ReadAddress(http, fallback.Http),
            Authorization = authorization.IsAbsent ? fallback.Authorization : authorization.AsSecret(),
            Spool = section["spool"].AsSize(fallback.Spool, min: 0),
        };
        if (options.S3 is not null && options.Http is not null)
            (http.IsAbsent ? s3 : http).Error("there is one store: s3 or http");
        if (options is { Authorization: not null, Http: null })
            authorization.Error("is for http; s3 is signed with the credentials of AWS's standard chain");
        return options;
    }

    /// <summary>An http or https URL without query, name or password, and without a slash at its end.</summary>
    public static Uri? ReadAddress(ConfigNode node, Uri? fallback)
    {
        if (node.AsString() is not { } text)
            return fallback;
        if (Uri.TryCreate(text.TrimEnd('/'), UriKind.Absolute, out var address) && address is { Scheme: "http" or "https", UserInfo: "", Query: "", Fragment: "", Host.Length: > 0 })
            return address;
        node.Error("must be an http or https URL without a name, a password or a query");
        return fallback;
    }

    /// <summary>What is secret, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets()
    {
        if (Authorization is not null)
            yield return ("cache.remote.authorization", Authorization);
        if (S3 is null)
            yield break;
        foreach (var variable in SecretVariables)
            yield return ("cache.remote.s3", new SecretText(SecretSource.Environment, variable));
    }

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (S3 is not null)
        {
            json.WriteStartObject("s3");
            json.WriteString("endpoint", S3.Endpoint.ToString().TrimEnd('/'));
            json.WriteString("bucket", S3.Bucket);
            json.WriteString("prefix", S3.Prefix);
            json.WriteString("region", S3.Region);
            json.WriteEndObject();
        }

        if (Http is not null)
            json.WriteString("http", Http.ToString().TrimEnd('/'));
        if (Authorization is not null)
            json.WriteString("authorization", Authorization.ToString());
        json.WriteNumber("spool", Spool);
        json.WriteEndObject();
    }
}

/// <summary>Where in which store: <c>ENDPOINT/BUCKET/PREFIX/sha256/ab/HEX</c>.</summary>
internal sealed record S3Options
{
    public required Uri Endpoint { get; init; }

    public required string Bucket { get; init; }

    /// <summary>Without slashes at its ends; empty (<c>/</c> in the file): the bucket is for nothing else.</summary>
    public string Prefix { get; init; } = "discobot";

    /// <summary>Of the signature.</summary>
    public string Region { get; init; } = "us-east-1";

    public static S3Options? Read(ConfigNode section, S3Options? fallback)
    {
        var endpoint = RemoteOptions.ReadAddress(section["endpoint"], fallback?.Endpoint);
        var bucket = ReadName(section["bucket"], fallback?.Bucket, IsOfBucket, "letters, digits, dots, hyphens and underscores");
        var prefix = ReadName(section["prefix"], fallback?.Prefix, IsOfPrefix, "letters, digits, slashes, dots, hyphens and underscores");
        var region = ReadName(section["region"], fallback?.Region, IsOfBucket, "letters, digits and hyphens");
        if (section.IsAbsent)
            return fallback;
        if (endpoint is null)
            section.Error("needs endpoint, the store's URL");
        if (bucket is null)
            section.Error("needs bucket");
        if (endpoint is null || bucket is null)
            return fallback;
        var options = new S3Options { Endpoint = endpoint, Bucket = bucket };
        return options with { Prefix = prefix?.Trim('/') ?? options.Prefix, Region = region ?? options.Region };
    }

    private static string? ReadName(ConfigNode node, string? fallback, Func<char, bool> allowed, string words)
    {
        if (node.AsString() is not { } text)
            return fallback;
        if (text.All(allowed) && !text.Split('/').Any(segment => segment is "." or ".."))
            return text;
        node.Error($"must be of {words}");
        return fallback;
    }

    private static bool IsOfBucket(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_';

    private static bool IsOfPrefix(char c) => IsOfBucket(c) || c == '/';
}
