using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure.Config;

/// <summary>One configuration text, parsed. Options are made from it by <see cref="Read{T}"/>.</summary>
internal sealed class ConfigDocument
{
    /// <summary>Larger texts are refused unread: 1 MiB, far beyond any hand-written file.</summary>
    public const int MaxBytes = 1024 * 1024;

    private readonly ConfigValue? _root;
    private readonly ConfigPlace _start;
    private readonly ConfigErrors _errors;

    private ConfigDocument(ConfigValue? root, ConfigPlace start, ConfigErrors errors, string fingerprint)
    {
        Fingerprint = fingerprint;
        _root = root;
        _start = start;
        _errors = errors;
    }

    /// <summary>Differs when the text differs, or the reason why there is none.</summary>
    public string Fingerprint { get; }

    /// <summary>Reads a file; whatever prevents that becomes an error of the document.</summary>
    public static ConfigDocument Load(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            return Load(file, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return Broken(new ConfigPlace(path), Unreadable(path, e));
        }
    }

    /// <summary>The same for a file that nobody is waited for: a FIFO or a device is an error.</summary>
    public static ConfigDocument LoadRegular(string path) => Directory.Exists(path) || RegularFile.IsOrMissing(path) ? Load(path) : Broken(new ConfigPlace(path), "is no regular file");

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">At most <see cref="MaxBytes"/> of it count.</param>
    /// <param name="source">What errors call it.</param>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static ConfigDocument Load(Stream stream, string source)
    {
        var buffer = new byte[MaxBytes + 1];
        var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return Parse(buffer.AsSpan(0, length), source);
    }

    /// <summary>Parses YAML.</summary>
    /// <param name="utf8">At most <see cref="MaxBytes"/>.</param>
    /// <param name="source">What errors call this text.</param>
    public static ConfigDocument Parse(ReadOnlySpan<byte> utf8, string source) =>
        Parse(utf8, source, (text, errors) => new YamlReader(Encoding.UTF8.GetString(text), source, errors).Read());

    public static ConfigDocument Parse(string text, string source) => Parse(Encoding.UTF8.GetBytes(text), source);

    /// <summary>Parses JSON, and nothing that only YAML allows.</summary>
    public static ConfigDocument ParseJson(ReadOnlySpan<byte> utf8, string source) =>
        Parse(utf8, source, (text, errors) => JsonReader.Read(text, source, errors));

    private delegate ConfigValue? Reader(ReadOnlySpan<byte> utf8, ConfigErrors errors);

    private static ConfigDocument Parse(ReadOnlySpan<byte> utf8, string source, Reader read)
    {
        var start = new ConfigPlace(source, 1, 1);
        if (utf8.Length > MaxBytes)
            return Broken(new ConfigPlace(source), "is too large; at most 1 MiB is read");
        if (utf8.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
            utf8 = utf8[3..];
        if (Utf8Check.FirstBadByte(utf8, source) is { } bad)
            return Broken(bad, "not valid UTF-8; save the file as UTF-8");
        var errors = new ConfigErrors();
        var root = read(utf8, errors);
        return new ConfigDocument(root, root?.Place ?? start, errors, Convert.ToHexString(SHA256.HashData(utf8)));
    }

    /// <summary>A document in which nothing is written: every option has its default.</summary>
    public static ConfigDocument Empty(string source) => new(null, new ConfigPlace(source), new ConfigErrors(), "");

    /// <summary>Makes options. Keys that <paramref name="read"/> never asked for are errors, so it must ask for all it knows.</summary>
    public ConfigResult<T> Read<T>(Func<ConfigNode, T> read) where T : class
    {
        if (_errors.Count > 0 && _root is null)
            return ConfigResult<T>.Of(null, _errors);
        var errors = new ConfigErrors();
        errors.AddRange(_errors.ToImmutable());
        var root = new ConfigNode(_root, "", _start, errors);
        var value = read(root);
        root.ReportUnknownKeys();
        return ConfigResult<T>.Of(value, errors);
    }

    private static ConfigDocument Broken(ConfigPlace place, string message)
    {
        var errors = new ConfigErrors();
        errors.Add(place, "", message);
        return new ConfigDocument(null, place, errors, message);
    }

    /// <summary>This text with <paramref name="above"/> laid over it, as text again.</summary>
    /// <param name="above">Its mappings add and replace key by key, its lists and scalars whole.</param>
    /// <param name="keep">Keys (as in <c>allowlist.domains</c>) in which this text's word counts where it has one.</param>
    public string OverlaidBy(ConfigDocument above, params IReadOnlyCollection<string> keep) => ConfigOverlay.ToJson(_root, above._root, keep);

    private static string Unreadable(string path, Exception e) => e switch
    {
        _ when Directory.Exists(path) => "is a directory; the path of a YAML file is needed",
        FileNotFoundException or DirectoryNotFoundException => "does not exist",
        UnauthorizedAccessException => "may not be read by this user",
        _ => $"cannot be read: {e.Message}",
    };
}
