using System.Text;
using Discobot.Features.Allowlist;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine.Policies;

/// <summary>The file in which an answer counts for good: the operator's policy in a container, else the configuration of the proxy.</summary>
internal static class PolicyFile
{
    /// <summary>Adds an entry to <c>allowlist.domains</c>; the file is whole at every moment, and nothing else of it changes.</summary>
    /// <returns>Whether it was added; false: it was there.</returns>
    /// <exception cref="IOException">It cannot be read or written, or the entry has no place in it; then it is as it was, and the message tells what to write.</exception>
    public static bool Add(string file, DomainRule entry)
    {
        var byHand = $"write the entry yourself, {entry} in allowlist.domains";
        try
        {
            // The file that is meant, where its name is a link.
            var path = File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file;
            var text = Encoding.UTF8.GetString(RegularFile.ReadAllBytes(path));
            var before = Read(file, text);
            if (before.Allowlist.Domains.Any(domain => domain.ToString() == entry.ToString()))
                return false;
            if (PolicyText.Add(text, entry.ToString()) is not { } changed || !IsThatAlone(before, file, changed, entry))
                throw new IOException($"{file} was not changed: it has no list allowlist.domains, or it is written in another way than this command can add to; {byHand}");
            // Whoever else reads it goes on doing so, above all a proxy of another user, whose file root changes.
            AtomicFile.Replace(path, Encoding.UTF8.GetBytes(changed));
            return true;
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException && !e.Message.StartsWith(file, StringComparison.Ordinal)))
        {
            throw new IOException($"{file} cannot be changed by this user, or in its place ({e.Message}); {byHand}", e);
        }
    }

    private static ProxySettings Read(string file, string text)
    {
        var read = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse(text, file));
        return read.Value ?? throw new IOException($"{file} was not changed, since it has mistakes:\n{read.ErrorText()}");
    }

    // Whatever the text is, nothing is written that does not mean the same and the entry.
    private static bool IsThatAlone(ProxySettings before, string file, string changed, DomainRule entry)
    {
        var read = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse(changed, file));
        if (read.Value is not { } after)
            return false;
        var expected = before with { Allowlist = before.Allowlist with { Domains = [.. before.Allowlist.Domains, entry] } };
        return SettingsJson.ToText(after) == SettingsJson.ToText(expected);
    }
}
