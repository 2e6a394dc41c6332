using System.Buffers;

namespace Discobot.Infrastructure.Wire;

/// <summary>Names of methods and header fields (RFC 9110, 5.6.2).</summary>
internal static class HttpToken
{
    private static readonly SearchValues<char> Characters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    public static bool IsValid(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExcept(Characters);
}

/// <summary>Methods as a server reads them: their case counts (RFC 9110, 9.1), so <c>get</c> is another method than GET, of which nothing is known.
/// What ASP.NET Core's HttpMethods takes for GET would answer it from the cache, and what it takes for HEAD would lose its body.</summary>
internal static class Methods
{
    public static bool IsGet(string method) => method == HttpMethods.Get;

    public static bool IsHead(string method) => method == HttpMethods.Head;

    public static bool IsOptions(string method) => method == HttpMethods.Options;

    public static bool IsConnect(string method) => method == HttpMethods.Connect;
}
