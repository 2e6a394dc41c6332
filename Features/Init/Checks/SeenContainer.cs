using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>A running container as the doctor sees it. Beside each step of the start stands a check of what it has left behind.</summary>
/// <param name="Paths">Where things are.</param>
/// <param name="Environment">The container's.</param>
/// <param name="Refused">Why the workspace's configuration, or the operator's, is not used.</param>
internal sealed record SeenContainer(ContainerPaths Paths, IReadOnlyDictionary<string, string> Environment, Func<IReadOnlyList<string>> Refused)
{
    /// <summary>What a step has left works or does not.</summary>
    /// <param name="name">What was looked at.</param>
    /// <param name="works">Whether it is as the start makes it.</param>
    /// <param name="detail">What is so.</param>
    /// <param name="fix">What to do when it is not.</param>
    public static Finding Step(string name, bool works, string detail, string fix) => new("step", name, works, detail, works ? null : fix);

    /// <summary>There is nothing to check.</summary>
    public static Finding Absent(string name, string detail) => new("step", name, null, detail, null);

    /// <summary>Whether a file is there and has a text in it.</summary>
    public bool Holds(string path, string text)
        => File.Exists(Paths.In(path)) && RegularFile.IsOrMissing(Paths.In(path)) && RegularFile.ReadAllText(Paths.In(path), Encoding.Latin1).Contains(text, StringComparison.Ordinal);
}
