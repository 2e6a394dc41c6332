using System.Runtime.InteropServices;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Cache.Shared;

/// <summary>Does something as another user would, as far as files are concerned: the user and group of file systems are a thread's own.</summary>
internal static partial class OtherUser
{
    /// <summary>Whether that is possible: for root alone.</summary>
    public static bool IsPossible => Libc.GetUser() == 0;

    public static void Do(uint user, uint group, Action work)
    {
        Exception? failed = null;
        var thread = new Thread(() =>
        {
            _ = SetGroup(group);
            _ = SetUser(user);
            failed = Record.Exception(work);
        });
        thread.Start();
        thread.Join();
        Assert.Null(failed);
    }

    [LibraryImport("libc", EntryPoint = "setfsuid")]
    private static partial int SetUser(uint user);

    [LibraryImport("libc", EntryPoint = "setfsgid")]
    private static partial int SetGroup(uint group);
}
