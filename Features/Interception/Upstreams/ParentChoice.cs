using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Finds the parent proxy: <c>proxy.upstream</c>, else the environment, as curl reads it; never ourselves.</summary>
internal static class ParentChoice
{
    /// <summary>Limit on resolving names of parents that have a port of ours, in order to see whether they are us.</summary>
    private static readonly TimeSpan ResolveLimit = TimeSpan.FromSeconds(3);

    /// <param name="options">What the configuration says.</param>
    /// <param name="environment">Lower-case variables count before upper-case ones. NO_PROXY counts in either case.</param>
    /// <param name="own">What must not be taken for a parent: the container's own variables name us.</param>
    /// <param name="names">For those that may turn out to be us.</param>
    /// <param name="log">Told what is used and what is ignored.</param>
    /// <exception cref="IOException"><c>proxy.upstream</c> names a variable or file that holds no address.</exception>
    public static ParentProxies Make(ProxyOptions options, IReadOnlyDictionary<string, string> environment, OwnListeners own, NameLookups names, ILogger log)
    {
        var exceptions = ProxyExceptions.Parse(Variable(environment, "NO_PROXY").Text);
        var configured = Unless(own, names, options.Upstream ?? Resolve(options.UpstreamSecret), "proxy.upstream", log);
        var parents = options.UpstreamFromEnvironment
            ? new ParentProxies(Read("HTTP_PROXY") ?? Read("ALL_PROXY"), Read("HTTPS_PROXY") ?? Read("ALL_PROXY"), exceptions)
            : new ParentProxies(configured, configured, exceptions);
        if (parents.Any)
            log.LogInformation("parent proxy {Address}", parents);
        return parents;

        ParentAddress? Read(string name)
        {
            var (variable, text) = Variable(environment, name);
            if (text.Length == 0)
                return null;
            // curl takes an address without a scheme for an HTTP proxy.
            if (ParentAddress.TryParse(text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text, out var parent))
                return Unless(own, names, parent, variable, log);
            log.LogWarning("parent proxy ignored {Source} {Reason}", variable, $"it is not {ParentAddress.Allowed}");
            return null;
        }
    }

    private static ParentAddress? Resolve(SecretText? secret)
    {
        if (secret is null)
            return null;
        if (!secret.TryResolve(out var text))
            throw new IOException($"proxy.upstream: {text}.");
        return ParentAddress.TryParse(text, out var parent)
            ? parent
            : throw new IOException($"proxy.upstream: what {secret} holds is not {ParentAddress.Allowed}.");
    }

    private static ParentAddress? Unless(OwnListeners own, NameLookups names, ParentAddress? parent, string place, ILogger log)
    {
        if (parent is null || !IsOwn(own, names, parent.Target))
            return parent;
        log.LogWarning("parent proxy ignored {Source} {Reason}", place, $"{parent} is this proxy itself");
        return null;
    }

    private static bool IsOwn(OwnListeners own, NameLookups names, ConnectTarget target)
    {
        using var limit = new CancellationTokenSource(ResolveLimit);
        try
        {
            // At the start, before anything is served: there is nobody to keep waiting.
            return own.ContainsAsync(target, names, limit.Token).AsTask().GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            // Dialling checks it again.
            return false;
        }
    }

    private static (string Name, string Text) Variable(IReadOnlyDictionary<string, string> environment, string name)
    {
        var lower = name.ToLowerInvariant();
        return environment.GetValueOrDefault(lower) is { Length: > 0 } text
            ? (lower, text.Trim())
            : (name, environment.GetValueOrDefault(name)?.Trim() ?? "");
    }
}
