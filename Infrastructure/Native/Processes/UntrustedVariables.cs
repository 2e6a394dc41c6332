using System.Collections;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>
/// Variables that lead programs to what somebody who is not trusted can change. The init, which knows who that is, tells its proxy their names; the proxy
/// needs some of them itself, and programs that it starts get none.
/// </summary>
internal static class UntrustedVariables
{
    /// <summary>Holds the names, with what no name can have between them.</summary>
    public const string Variable = "DISCOBOT_UNTRUSTED";

    private const char Separator = '=';

    /// <summary>The value of <see cref="Variable"/>.</summary>
    public static string Of(IEnumerable<string> names) => string.Join(Separator, names);

    /// <summary>Our own environment without them; null where there are none, and it can be passed on as it is.</summary>
    public static IReadOnlyDictionary<string, string>? Without()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { } names)
            return null;
        var untrusted = names.Split(Separator);
        return Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(v => KeyValuePair.Create((string)v.Key, (string?)v.Value ?? ""))
            .Where(v => v.Key != Variable && !untrusted.Contains(v.Key)).ToDictionary();
    }
}
