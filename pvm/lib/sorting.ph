// Sorting: stable, by merging; numbers of one kind without calls.
package .phantom.util;

class sorting
{
    // The first n elements.
    static void sort( var a : void[], var n : int, var order : comparator )
    {
        var from : void[] = a;
        var to : void[] = new void[]( n );
        for( var width : int = 1; width < n; width *= 2 )
        {
            for( var left : int = 0; left < n; left += width * 2 )
            {
                var middle : int = left + width < n ? left + width : n;
                var end : int = middle + width < n ? middle + width : n;
                var i : int = left;
                var j : int = middle;
                for( var k : int = left; k < end; k++ )
                {
                    if( i < middle && ( j >= end || order.compare( from[i], from[j] ) <= 0 ) ) to[k] = from[i++];
                    else to[k] = from[j++];
                }
            }
            var other : void[] = from;
            from = to;
            to = other;
        }
        if( from :!= a )
            for( var i : int = 0; i < n; i++ ) a[i] = from[i];
    }

    static void sort( var a : void[] ) { sort( a, a.size(), new natural() ); }

    static void ints( var a : int[] )
    {
        var n : int = a.size();
        for( var i : int = n / 2 - 1; i >= 0; i-- ) sift( a, i, n );
        for( var end : int = n - 1; end > 0; end-- )
        {
            var top : int = a[0];
            a[0] = a[end];
            a[end] = top;
            sift( a, 0, end );
        }
    }

    private static void sift( var a : int[], var at : int, var n : int )
    {
        var moving : int = a[at];
        for( ; ; )
        {
            var child : int = at * 2 + 1;
            if( child >= n ) break;
            if( child + 1 < n && a[child + 1] > a[child] ) child++;
            if( a[child] <= moving ) break;
            a[at] = a[child];
            at = child;
        }
        a[at] = moving;
    }

    // Where the item is in what is sorted, or -1 - where it would go.
    static int search( var a : list, var item, var order : comparator )
    {
        var low : int = 0;
        var high : int = a.size();
        while( low < high )
        {
            var middle : int = ( low + high ) >>> 1;
            var c : int = order.compare( a.get( middle ), item );
            if( c == 0 ) return middle;
            if( c < 0 ) low = middle + 1; else high = middle;
        }
        return -1 - low;
    }
};
