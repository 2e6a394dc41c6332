using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.TrustStore;

/// <summary>
/// The machine's own trust store. Writes need root. All of it lies in directories of root's; nothing is written through a link that
/// stands in the place of a file (see <see cref="AtomicFile"/>).
/// </summary>
/// <param name="logger">Told what was done, with the tool's output.</param>
/// <param name="root">Where the file system begins.</param>
/// <param name="toolLimit">How long a tool may take; 30 s by default.</param>
/// <param name="executable">Our own, by which tools are started.</param>
internal sealed class SystemTrustStore(ILogger logger, string root = "/", TimeSpan? toolLimit = null, string executable = Spawner.OwnExecutable)
{
    private const UnixFileMode Readable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly TrustTool _tool = new(logger, toolLimit ?? TimeSpan.FromSeconds(30), executable);
    private readonly TrustFamily _family = TrustFamily.Detect(root);
    private bool _anchorIsNew;
    private bool _renews;

    /// <summary>Looks; changes nothing.</summary>
    public TrustStatus Status(X509Certificate2 authority) => Look(authority);

    /// <summary>
    /// Makes the machine trust <paramref name="authority"/> in place of any CA of ours from before, then reads the bundle back. When it is
    /// trusted already, nothing is written and no tool is run.
    /// </summary>
    /// <returns>Trusted, or the problem.</returns>
    public async Task<TrustStatus> InstallAsync(X509Certificate2 authority, CancellationToken cancellationToken)
    {
        try
        {
            using var turn = await TrustLock.TakeAsync(root, cancellationToken);
            var before = Look(authority);
            if (before.Trusted && (before.Anchor is null || IsAnchor(before.Anchor, authority)))
                return before;
            var problem = before.Anchor is { } anchor
                ? await InstallAnchorAsync(anchor, authority, cancellationToken)
                : InstallBlocks(authority);
            var after = Look(authority) with { Changed = true };
            return after.Trusted
                ? after with { Problem = problem }
                : after with { Problem = problem ?? $"the CA was installed, yet it is not in {after.Bundle ?? "any bundle"}" };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Look(authority) with { Problem = e.Message };
        }
    }

    /// <summary>
    /// Makes the machine trust <paramref name="authority"/> without waiting for a tool: the anchor is put where the tool will look for it, and
    /// the bundle gets the certificate now. Whatever cannot be written is told; the rest is done.
    /// </summary>
    public TrustStatus InstallAtOnce(X509Certificate2 authority)
    {
        if (Look(authority) is { Trusted: true } before && (before.Anchor is null || IsAnchor(before.Anchor, authority)))
            return before;
        var problems = new List<string>();
        Try(problems, () => PutAnchor(authority));
        if (_family.FindBundles(root) is { Count: 0 })
            problems.Add("there is no bundle of certificates to add the CA to");
        foreach (var bundle in _family.FindBundles(root).Where(bundle => !BundleBlock.Holds(bundle, authority)))
            Try(problems, () => BundleBlock.Put(bundle, authority));
        return Look(authority) with { Changed = true, Problem = problems.Count > 0 ? string.Join("; ", problems) : null };
    }

    /// <summary>Whether the tool has not made the bundle yet.</summary>
    public bool ToolHasToFollow => _family.HasTool && (_anchorIsNew || _family.FindBundles(root) is not [var bundle, ..] || BundleBlock.IsEdited(bundle));

    /// <summary>
    /// Has the tool make what <see cref="InstallAtOnce"/> wrote by hand. Where it comes to something else, the hand's work is done again;
    /// where somebody removed or replaced the CA meanwhile, nothing is done.
    /// </summary>
    public async Task<TrustStatus> FollowAsync(X509Certificate2 authority, CancellationToken cancellationToken)
    {
        using var turn = await TrustLock.TakeAsync(root, cancellationToken);
        if (Look(authority) is { Trusted: false } now && (now.Anchor is null || !IsAnchor(now.Anchor, authority)))
            return now with { Problem = "the CA was removed or replaced meanwhile" };
        var bundle = _family.FindBundles(root) is [var first, ..] ? first : null;
        var before = bundle is null ? null : await File.ReadAllBytesAsync(bundle, cancellationToken);
        var tool = _family.FindTool(root);
        var problem = tool is not null ? await _tool.RunAsync(tool, _renews ? _family.Renewal : _family.Arguments, cancellationToken) : null;
        if (before is not null && BundleBlock.Lost(before, bundle!) is > 0 and var lost)
        {
            // Somebody wrote them into the bundle by hand, or the rest of the tool's package is gone.
            AtomicFile.Write(bundle!, before, Readable);
            problem ??= $"{tool} dropped {lost} certificates that were in {bundle}: it stays as it was";
        }

        var after = Look(authority);
        if (!after.Trusted)
            after = InstallAtOnce(authority);
        return after with { Problem = problem ?? after.Problem };
    }

    private void PutAnchor(X509Certificate2 authority)
    {
        var anchor = _family.HasTool ? Path.Combine(root, _family.Anchors, TrustFamily.AnchorName) : TrustFamily.FutureAnchor(root);
        if (anchor is null)
            return;
        if (!IsAnchor(anchor, authority))
        {
            _renews = Path.Exists(anchor);
            Directory.CreateDirectory(Path.GetDirectoryName(anchor)!);
            AtomicFile.Write(anchor, Encoding.ASCII.GetBytes(Pem(authority)), Readable);
            _anchorIsNew = true;
        }

        HashLink.Put(Path.Combine(root, "etc/ssl/certs"), authority, anchor);
    }

    private static void Try(List<string> problems, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add(e.Message);
        }
    }

    /// <summary>Takes every CA of ours out, wherever any family would keep it.</summary>
    /// <param name="authority">The CA that is read back for; null when there is none any more.</param>
    /// <param name="cancellationToken">Ends the tool.</param>
    public async Task<TrustStatus> RemoveAsync(X509Certificate2? authority, CancellationToken cancellationToken)
    {
        try
        {
            using var turn = await TrustLock.TakeAsync(root, cancellationToken);
            var anchors = TrustFamily.AnchorPaths(root).Where(Path.Exists).ToList();
            anchors.ForEach(File.Delete);
            anchors.ForEach(anchor => HashLink.Remove(Path.Combine(root, "etc/ssl/certs"), anchor));
            var problem = anchors.Count > 0 && _family.FindTool(root) is { } tool
                ? await _tool.RunAsync(tool, _family.Renewal, cancellationToken)
                : null;
            var blocks = TrustFamily.AllBundles(root).Where(BundleBlock.Remove).ToList();
            var after = Look(authority) with { Changed = anchors.Count + blocks.Count > 0, Problem = problem };
            return after.Trusted && problem is null
                ? after with { Problem = $"the CA is still in {after.Bundle}: it was not us who put it there" }
                : after;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Look(authority) with { Problem = e.Message };
        }
    }

    private async Task<string?> InstallAnchorAsync(string anchor, X509Certificate2 authority, CancellationToken cancellationToken)
    {
        var renews = Path.Exists(anchor);
        Directory.CreateDirectory(Path.GetDirectoryName(anchor)!);
        AtomicFile.Write(anchor, Encoding.ASCII.GetBytes(Pem(authority)), Readable);
        return await _tool.RunAsync(_family.FindTool(root)!, renews ? _family.Renewal : _family.Arguments, cancellationToken);
    }

    private string? InstallBlocks(X509Certificate2 authority)
    {
        var bundles = _family.FindBundles(root);
        foreach (var bundle in bundles)
            BundleBlock.Put(bundle, authority);
        return bundles.Count > 0 ? null : "there is neither a trust tool nor a bundle of certificates to add the CA to";
    }

    private TrustStatus Look(X509Certificate2? authority)
    {
        var bundles = _family.FindBundles(root);
        // A tool makes all bundles from the same anchors: one tells. Edited bundles are each for themselves.
        var trusted = authority is not null && bundles.Count > 0
            && bundles.Take(_family.HasTool ? 1 : bundles.Count).All(bundle => BundleBlock.Holds(bundle, authority));
        var anchor = _family.HasTool ? Path.Combine(root, _family.Anchors, TrustFamily.AnchorName) : null;
        return new TrustStatus(_family.Name, trusted, bundles.Count > 0 ? bundles[0] : null, anchor, Changed: false, Problem: null);
    }

    private static bool IsAnchor(string path, X509Certificate2 authority) => File.Exists(path) && RegularFile.IsOrMissing(path) && File.ReadAllText(path) == Pem(authority);

    private static string Pem(X509Certificate2 certificate) => certificate.ExportCertificatePem() + "\n";
}
